"""Give an identity the roles that count for a call: by a token, those of its groups, too. Pure."""

from __future__ import annotations

from dataclasses import replace

from immutables import Map

from shared.deciding.access import AccessState, Grant, grant_key, stream_of
from shared.deciding.decider import Forbidden
from shared.deciding.issuers import issuer_of, roles_of, subject_of_issuer


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

    `issuer` is the state of the issuer that the method names. Raises Forbidden when it is not trusted, or the
    identity never signed in there.
    """
    key = issuer_of(method)
    if not key:
        return state
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


def stream_of_issuer(method: str) -> str:
    """Return the stream of the issuer by whose token an actor acts, or "" for every other method."""
    key = issuer_of(method)
    return stream_of(subject_of_issuer(key)) if key else ""
