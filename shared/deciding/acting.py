"""Give an identity the roles that count for a call. Pure.

By a token, those of its groups count, too; by the key of a job, only the role publisher where its trust is.
"""

from __future__ import annotations

from dataclasses import replace

from immutables import Map

from shared.deciding.access import (
    EVERYWHERE,
    AccessState,
    Grant,
    Key,
    grant_key,
    implies,
    stream_of,
)
from shared.deciding.decider import Forbidden
from shared.deciding.issuers import issuer_of, roles_of, subject_of_issuer
from shared.deciding.trusts import within

JOBS_ROLE = "publisher"
"""The only role of a job's key."""


def with_roles_of(state: AccessState, key: str, issuer: AccessState) -> AccessState:
    """Return the identity with the roles of its groups at this issuer, as of its last sign-in there."""
    sign_in = state.sign_ins.get(key)
    if sign_in is None or issuer.issuer is None or not issuer.issuer.trusted:
        return state
    grants = state.grants
    for one in roles_of(state.subject, sign_in, issuer.mapped):
        name = grant_key(one.role, one.namespace, one.group)
        grants = grants.set(name, Grant(one.role, one.namespace, one.group))
    return replace(state, grants=grants)


def acting(state: AccessState, method: str, issuer: AccessState) -> AccessState:
    """Return the identity as it acts by a method: by a token with the roles of groups and without its keys.

    By the key of a job it has what the trust gives. `issuer` is the state of the issuer that the method
    names. Raises Forbidden when it is not trusted, or the identity never signed in there.
    """
    key = issuer_of(method)
    if not key:
        used = key_of(state, method)
        return of_job(state, used) if used is not None and used.trust else state
    if issuer.issuer is None or not issuer.issuer.trusted:
        raise Forbidden(
            "issuer_not_trusted",
            "The issuer of this token is not trusted any more: ask an admin.",
            issuer=key,
        )
    if key not in state.sign_ins:
        raise Forbidden(
            "unknown_identity", "The caller never signed in: send the token to POST /v1/sign-ins."
        )
    return replace(with_roles_of(state, key, issuer), keys=Map())


def key_of(state: AccessState, method: str) -> Key | None:
    """Return the key that a method names (`api-key:<key id>`, `signature:<key id>`), or None."""
    return state.keys.get(method.partition(":")[2])


def of_job(state: AccessState, key: Key) -> AccessState:
    """Return the publisher with the rights of a job's key: its own role publisher, where the trust is."""
    trust = state.trusts.get(key.trust)
    grants: Map[str, Grant] = Map()
    for held in state.grants.values() if trust else ():
        for namespace in within(trust.namespaces, held.namespace, EVERYWHERE) if trust else ():
            if implies(held.role, JOBS_ROLE):
                grants = grants.set(grant_key(JOBS_ROLE, namespace), Grant(JOBS_ROLE, namespace))
    return replace(state, grants=grants)


def stream_of_issuer(method: str) -> str:
    """Return the stream of the issuer by whose token an actor acts, or "" for every other method."""
    key = issuer_of(method)
    return stream_of(subject_of_issuer(key)) if key else ""
