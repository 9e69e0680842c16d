"""The exceptions of the client, one for each kind of answer.

Each has a stable `code`, a `detail` (what is wrong), an `advice` (what to do next), and `facts`.
"""

# ruff: noqa: N818 - named for the answer of the service

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from regista.former_names import warn_of


class RegistaError(Exception):
    """The base of all exceptions of the client. `exit_code` is the exit code of the command line."""

    exit_code = 1
    advice = "Read the detail. If it does not help, report it with the code and the time."

    def __init__(
        self, code: str, detail: str, *, advice: str = "", facts: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.advice = advice or type(self).advice
        self.add_note(self.advice)  # tracebacks show it
        self.facts = dict(facts or {})
        self.status = 0  # the HTTP status; 0 for an error of the client itself

    def append(self, text: str) -> None:
        """Add to the detail what is known later."""
        self.detail += text
        self.args = (f"{self.code}: {self.detail}",)


class WithdrawnAncestor(UserWarning):
    """A loaded version was made from a withdrawn one, at any distance. It is loaded all the same."""


def __getattr__(name: str) -> Any:
    if name == "RecalledAncestor":
        warn_of(name, WithdrawnAncestor.__name__)
        return WithdrawnAncestor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class NotConfigured(RegistaError):
    """A setting is missing or wrong on this machine."""

    exit_code = 2
    advice = "Set the variable, or add it to ~/.config/regista/config.toml."


class Unauthorized(RegistaError):
    """401: the caller has no valid key or sign-in."""

    exit_code = 5
    advice = (
        "Sign in with `regista login`, or set REGISTA_API_KEY (or REGISTA_API_KEY_FILE) to a valid key: "
        "an admin issues one with `regista access key issue`."
    )


class Forbidden(RegistaError):
    """403: the owner of the key lacks the role for this request, or another person has to make it."""

    exit_code = 5
    advice = "Do what the detail states: it names what is missing, or who may do this."


class NotFound(RegistaError):
    """404: the object does not exist, or the caller may not read it."""

    exit_code = 4
    advice = "Check the name: `regista models list` and `regista versions list` show what you may read."


class RuleBroken(RegistaError):
    """409: a rule forbids the request in the present state."""

    exit_code = 3
    advice = "Resolve what the detail names, then repeat."


class Stale(RuleBroken):
    """412: the object changed after you read it.

    `facts` has its present `revision` and state (`present`), where the caller may read them.
    """

    advice = "Read the object again, decide on its present state, then repeat with its revision."


class PreconditionRequired(RuleBroken):
    """428: the change must name the revision that it was decided on."""

    advice = "Read the object first, then pass its revision (`expected`; If-Match over HTTP)."


class Invalid(RegistaError):
    """422, 400, 405 or 415: the request is wrong; `facts` names the fields."""

    exit_code = 2
    advice = "Correct what the detail names, then repeat."


class WrongArgument(Invalid, TypeError):
    """A method was called with an argument that it does not have or cannot take, or without one it needs."""


class WrongValue(Invalid, ValueError):
    """A method was called with a value that does not fit earlier ones, or too early."""


class TooLarge(RegistaError):
    """413: the request is larger than the service accepts."""

    advice = "Send less, or upload large files as an artifact."


class Unavailable(RegistaError):
    """The service was unreachable or overloaded (429, 502, 503, 504) in all attempts.

    Repeating the call is safe.
    """

    advice = "Try again later. `regista status` on the server's machine shows which part is not running."


class Damaged(RegistaError):
    """The bytes of a file differ from what was registered. The client did not use them."""

    advice = (
        "Delete nothing, and report it to the operators of the registry: the stored artifact was altered."
    )


class TimedOut(RegistaError):
    """The wait ended before the outcome was known. A published message is not lost."""

    exit_code = 6
    advice = "Wait again: the publication stays valid. `regista timeline` shows what happened to the model."


class DeadLettered(RegistaError):
    """The registry refused the message itself (signature, shape, role): it is a dead letter with a reason."""

    exit_code = 3
    advice = (
        "Correct what the reason names and publish again. "
        "If the message was right, an admin replays it with `regista dlq replay`."
    )


class Failed(RegistaError):
    """The service failed (500 and the like)."""

    advice = "Report it with the code and the time. Repeating is safe."


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason of a refusal: a field, and what is wrong with it."""

    field: str
    problem: str


class Refused(RegistaError):
    """The registry refused to register the version. `problems` has every reason."""

    exit_code = 3
    advice = (
        "Correct every problem and publish again, or publish a draft (draft=True, --draft) and complete it "
        "later."
    )

    def __init__(
        self, model: str, problems: Sequence[Problem], facts: Mapping[str, Any] | None = None
    ) -> None:
        reasons = "; ".join(f"{p.field}: {p.problem}" if p.field else p.problem for p in problems)
        listed = {"problems": [{"field": p.field, "problem": p.problem} for p in problems]}
        super().__init__(
            "registration_refused", f"{model} was not registered: {reasons}", facts=listed | dict(facts or {})
        )
        self.model = model
        self.problems = tuple(problems)


_BY_STATUS: dict[int, type[RegistaError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: Invalid,
    409: RuleBroken,
    410: NotFound,
    412: Stale,
    413: TooLarge,
    415: Invalid,
    422: Invalid,
    428: PreconditionRequired,
    429: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def _grant(code: str, facts: Mapping[str, Any]) -> str:
    """Return the command that grants the role that is missing, "" for another error."""
    subject, role, namespace = (str(facts.get(name) or "") for name in ("subject", "role", "namespace"))
    if code != "role_missing" or not subject or not role.isalpha():
        return ""
    if role == "any":
        role = "ROLE"
    where = "--everywhere" if namespace in {"", "*"} else f"--namespace {namespace}"
    grant = f"`regista access grant {subject} {role} {where}`"
    if "meant" in facts:
        meant = " or ".join(str(name) for name in facts["meant"] or ())
        named = f"Publish to {meant}" if meant else "Publish to a name with a namespace (NAMESPACE.NAME)"
        return f"{named}. Only if the name shall have no namespace, ask an admin for the role: {grant}."
    return f"Ask an admin for the role: {grant}."


_LISTED_BY = {
    "/v1/reviews": "regista reviews list",
    "/v1/policies": "regista policy list",
    "/v1/cleanup-runs": "regista cleanup list",
    "/v1/history": "regista history list",
    "/v1/log-checkpoints": "regista audit log-checkpoints",
    "/v1/mirrors": "regista mirror target list",
    "/v1/dlq": "regista dlq list",
    "/v1/issuers": "regista access issuer list",
    "/v1/trusts": "regista access trust list",
}
"""The path that a service names for the list of what there is; the command for it."""


def _list_of(facts: Mapping[str, Any]) -> str:
    """Return what lists the names that exist, "" where the service names no list."""
    if not (path := str(facts.get("listed_at") or "")):
        return ""
    command = _LISTED_BY.get(path.partition("?")[0])
    return f"{f'`{command}`' if command else f'GET {path}'} lists what there is."


def from_problem(status: int, problem: Mapping[str, Any]) -> RegistaError:
    """Return the exception for an RFC 9457 problem document."""
    facts = {
        key: value
        for key, value in problem.items()
        if key not in {"type", "title", "status", "detail", "code", "instance"}
    }
    detail = str(problem.get("detail") or problem.get("title") or f"the service answered {status}")
    code = str(problem.get("code") or f"http_{status}")
    error = _BY_STATUS.get(status, Failed)(
        code, detail, advice=_grant(code, facts) or _list_of(facts), facts=facts
    )
    error.status = status
    return error
