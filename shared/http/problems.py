"""Turn errors into RFC 9457 problems: the answers of refused requests."""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg
import msgspec
from pydantic import ValidationError
from starlette.responses import Response

from shared.deciding.decider import Forbidden, Misrouted, NotFound, RuleBroken, Stale, Unprocessable
from shared.foundation.postgres import CONNECTION_ERRORS, Unavailable
from shared.foundation.shape_errors import problem_of
from shared.log.eventlog import LogStopped

BASE = "https://regista.dev/problems/"
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = "2"
_encode = msgspec.json.Encoder(enc_hook=str).encode

TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict with a rule",
    412: "Precondition failed",
    413: "Body too large",
    415: "Unsupported media type",
    422: "Unprocessable",
    428: "Precondition required",
    429: "Too many requests",
    500: "Internal error",
    503: "Unavailable",
    507: "Insufficient storage",
}


class Problem(Exception):  # noqa: N818 - it is the answer
    """The answer to the request, raised anywhere below an endpoint.

    `detail` states what is wrong and what to do next.
    """

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **facts: object
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers or {}
        self.facts = facts

    def response(self) -> Response:
        """Return the answer as application/problem+json."""
        body = {
            **self.facts,
            "type": BASE + self.code,
            "title": TITLES.get(self.status, "Error"),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        return Response(_encode(body), self.status, {**self.headers, "content-type": MEDIA_TYPE})


def unauthenticated(detail: str, *, token: bool = False) -> Problem:
    """Return 401 with the authentication scheme; `token`: a token was sent, and is not valid."""
    challenge = 'Bearer realm="regista"' + (', error="invalid_token"' if token else "")
    return Problem(401, "unauthenticated", detail, {"www-authenticate": challenge})


def issuer_unreachable() -> Problem:
    """Return the answer while the keys of a token's issuer were never read."""
    return Problem(
        503,
        "issuer_unreachable",
        "The keys of the token's issuer could not be read yet: repeat the request soon.",
        {"retry-after": "5"},
    )


def log_stopped(reason: str) -> Problem:
    """Return 503: the log is behind what was published of it."""
    return Problem(503, "log_stopped", f"The log is stopped: {reason}", {"retry-after": "30"})


def of_rule(broken: RuleBroken) -> Problem:
    """Return 404, 403, 412, 422, 503 or 409, by the class of the broken rule."""
    match broken:
        case NotFound():
            status = 404
        case Forbidden():
            status = 403
        case Stale():
            status = 412
        case Unprocessable():
            status = 422
        case Misrouted():
            return Problem(
                503,
                "busy",
                "The names in the request kept changing while the command ran: repeat the request.",
                {"retry-after": "1"},
            )
        case _:
            status = 409
    return Problem(status, broken.code, broken.detail, None, **broken.facts)


def of_shape(wrong: ValidationError, where: str) -> Problem:
    """Return 422 with every error of the body or the query."""
    errors = [
        {
            "field": ".".join(str(part) for part in e["loc"]) or where,
            "problem": problem_of(e),
            "kind": e["type"],
        }
        for e in wrong.errors(include_url=False, include_input=False)
    ]
    named = "; ".join(f"{e['field']}: {e['problem']}" for e in errors[:3]) + (
        "; …" if len(errors) > 3 else ""
    )
    return Problem(422, f"invalid_{where}", f"Correct the {where} and repeat: {named}", errors=errors)


def of_exception(error: BaseException) -> Problem | None:
    """Return the problem of an exception, or None for a fault of the server (500)."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RuleBroken):
        return of_rule(error)
    if isinstance(error, asyncpg.DataError):
        return Problem(
            422,
            "value_out_of_range",
            "A value in the request or in its page_token is too large to store or to compare: correct it.",
        )
    if isinstance(error, LogStopped):
        return log_stopped(str(error))
    if isinstance(error, (Unavailable, *CONNECTION_ERRORS)):
        return Problem(
            503,
            "unavailable",
            "A server that this service needs is unavailable; the service resumes by itself."
            " Repeat the request with the same Idempotency-Key.",
            {"retry-after": RETRY_AFTER},
        )
    return None
