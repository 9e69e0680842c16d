"""Give an identity the roles that count for a call. Pure.

By a token, those of its groups count, too, and by a key that a person issued with a token; by the key of a
job, only the role publisher where its trust is.
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
from shared.deciding.events import key_id_of
from shared.deciding.issuers import issuer_of, roles_of, subject_of_issuer
from shared.deciding.trusts import within

JOBS_ROLE = "publisher"
"""The only role of a job's key."""
BY_KEY = "api-key:"
"""How the method of an actor begins who sends an API key."""


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

    By a key that it issued itself with a token it has the roles of groups, too, while the issuer is trusted;
    by the key of a job, what the trust gives. `issuer` is the state of the issuer that the method names.
    Raises Forbidden when the token's issuer is not trusted, or the identity never signed in there.
    """
    key = issuer_of(method)
    if not key:
        used = key_of(state, method)
        if used is not None and used.trust:
            return of_job(state, used)
        return with_roles_of(state, used.issuer, issuer) if used is not None and used.issuer else state
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
    """Return the key that a method names, or None."""
    return state.keys.get(key_id_of(method))


def method_of(key: Key) -> str:
    """Return the method of an actor who sends this API key. It names the issuer whose groups count."""
    return f"{BY_KEY}{key.key_id}@{key.issuer}" if key.issuer else f"{BY_KEY}{key.key_id}"


def issuer_in(method: str) -> str:
    """Return the issuer whose groups count for a method: that of a token, or of a key issued with one."""
    return issuer_of(method) or (method.partition("@")[2] if method.startswith(BY_KEY) else "")


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
    """Return the stream of the issuer whose groups count for a method, or "" where none do."""
    key = issuer_in(method)
    return stream_of(subject_of_issuer(key)) if key else ""
