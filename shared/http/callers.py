"""Turn a request into its caller: the one place where an API key or a token becomes an actor."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from shared.deciding.access import AccessState
from shared.deciding.decider import Forbidden
from shared.deciding.events import Actor
from shared.deciding.issuers import METHOD
from shared.http.app import App
from shared.http.problems import Problem, issuer_unreachable, log_stopped, unauthenticated
from shared.http.routes import Route
from shared.identity.sign_ins import KeysUnavailable, SignInNeeded
from shared.identity.tokens import Token, TokenRefused, is_token
from shared.log.denied_attempts import NOT_IDENTIFIED

ANONYMOUS = Actor("", method="none")
SIGN_INS = "/v1/sign-ins"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request. `token` is set when it came with one."""

    actor: Actor
    state: AccessState
    token: Token | None = None


async def caller_of(app: App, route: Route, request: Request) -> Caller:
    """Return the caller of a request.

    Raises Problem 401 without valid credentials, 503 while the service cannot know, and Forbidden for a
    person who is disabled. A route that `signs_in` gets a verified token without a person.
    """
    if route.public:
        return Caller(ANONYMOUS, AccessState())
    if reason := app.standing.reason:
        raise log_stopped(reason)
    if not app.serving:
        reasons = app.readiness.reasons
        detail = "The service is not ready yet; repeat the request soon."
        raise Problem(503, "starting", detail, {"retry-after": "2"}, reasons=reasons)
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not credential:
        raise unauthenticated(
            "Send an API key (`Authorization: Bearer rg_…`, `regista access` issues one), or an access token "
            "of an issuer that the registry trusts (`regista login`)."
        )
    if is_token(credential):
        return await _by_token(app, route, credential)
    if route.signs_in:
        raise unauthenticated("Send the access token of the person who signs in, not an API key.")
    return await _by_api_key(app, credential)


async def _by_api_key(app: App, key: str) -> Caller:
    identified = app.access.by_api_key(key) or await app.access.identify(key)
    if identified is None:
        former = app.access.identities.by_former_key(key)
        code, detail = ("key_ended", "a key that is revoked or expired") if former else ("key_unknown", "")
        _note(app, former or NOT_IDENTIFIED, code, detail)
        raise unauthenticated("The API key is not known, expired or revoked: ask an admin for a new one.")
    return Caller(identified.actor, identified.state)


async def _by_token(app: App, route: Route, text: str) -> Caller:
    try:
        token = await app.sign_ins.verified(text)
        if route.signs_in:
            return Caller(ANONYMOUS, AccessState(), token)
        identified = await app.sign_ins.identify(token)
    except TokenRefused as refused:
        _note(app, NOT_IDENTIFIED, "token_refused", str(refused))
        raise unauthenticated(str(refused), token=True) from refused
    except KeysUnavailable as why:
        raise issuer_unreachable() from why
    except SignInNeeded as why:
        raise Problem(
            401,
            "sign_in_needed",
            "The log does not have this person, or not these groups: send the token to POST /v1/sign-ins of "
            "the registry, then repeat the request.",
            {"www-authenticate": 'Bearer realm="regista"'},
            sign_ins=SIGN_INS,
        ) from why
    except Forbidden as forbidden:
        subject = str(forbidden.facts.get("subject") or NOT_IDENTIFIED.subject)
        _note(app, Actor(subject, method=METHOD + token.issuer), forbidden.code, forbidden.detail)
        raise
    return Caller(identified.actor, identified.state, token)


def _note(app: App, actor: Actor, code: str, detail: str) -> None:
    if app.denied_attempts is not None:
        app.denied_attempts.note(actor, code, "", detail)
