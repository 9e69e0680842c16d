"""What can go wrong, one exception per kind of answer.

Each carries a stable `code`, a `detail`, and `advice`: what to do next.
"""

# ruff: noqa: N818 - they are answers, named for what they say

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class RegistaError(Exception):
    """Something went wrong; `exit_code` is what the command line ends with."""

    exit_code = 1
    advice = "Read the detail; if it does not say enough, report it with the code and the time."

    def __init__(
        self, code: str, detail: str, *, advice: str = "", facts: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.advice = advice or type(self).advice
        self.facts = dict(facts or {})
        self.status = 0  # of the answer; 0 where no service said it


class NotConfigured(RegistaError):
    """A setting is missing or wrong on this machine."""

    exit_code = 2
    advice = "Set the variable, or write it into ~/.config/regista/config.toml."


class Unauthorized(RegistaError):
    """401: no key, or one that is not valid (any more)."""

    exit_code = 5
    advice = "Set REGISTA_API_KEY (or REGISTA_API_KEY_FILE) to a valid key; an admin issues one with `regista access key issue`."


class Forbidden(RegistaError):
    """403: the key is valid and its owner may not do this."""

    exit_code = 5
    advice = "Ask an admin for the role: `regista access grant SUBJECT ROLE --namespace NAMESPACE`."


class NotFound(RegistaError):
    """404: there is no such thing, or you may not see it."""

    exit_code = 4
    advice = "Check the spelling: `regista models list`, `regista versions list MODEL`."


class RuleBroken(RegistaError):
    """409: a rule forbids it in the present state."""

    exit_code = 3
    advice = "Change what the detail names, then repeat."


class Stale(RuleBroken):
    """412: somebody changed it after you read it."""

    advice = "Read it again, look at what changed, then repeat."


class PreconditionRequired(RuleBroken):
    """428: the change must say which state it was decided on."""

    advice = "Read it first and send its ETag as If-Match."


class Invalid(RegistaError):
    """422 (and 400, 405, 415): the request itself is wrong; `facts` names the fields."""

    exit_code = 2
    advice = "Correct the fields named."


class TooLarge(RegistaError):
    """413: the request is larger than the service takes."""

    advice = "Send less, or large files as artifact uploads."


class Unavailable(RegistaError):
    """The service could not be reached or said 503, and went on so through all retries.

    It is safe to repeat.
    """

    advice = "Try again later; `regista status` on the server's machine says what is away."


class Damaged(RegistaError):
    """Bytes that do not hash to what was registered: they were not used."""

    advice = "Delete nothing; tell the registry's operators. The stored artifact is not what was registered."


class TimedOut(RegistaError):
    """The wait ended before the answer came. What was published is not lost."""

    advice = "Wait again: the handle stays valid, and `regista timeline MODEL` shows what happened."


class DeadLettered(RegistaError):
    """The message was not taken at all (signature, shape, role): it lies among the dead letters with its reason."""

    exit_code = 3
    advice = "Correct what the reason names and publish again; an admin can replay the message where the fault was not in it."


class Failed(RegistaError):
    """An answer that no rule explains (500 and the like)."""

    advice = "Report it with the code and the time; repeating is safe."


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason of a refusal: the field and what is wrong with it."""

    field: str
    problem: str


class Refused(RegistaError):
    """The registry refused to register the version; `problems` has every reason, not only the first."""

    exit_code = 3
    advice = "Correct every problem and publish again, or publish with draft=True and complete it later."

    def __init__(
        self, model: str, problems: Sequence[Problem], facts: Mapping[str, Any] | None = None
    ) -> None:
        said = "; ".join(f"{p.field}: {p.problem}" if p.field else p.problem for p in problems)
        super().__init__("registration_refused", f"{model} was not registered: {said}", facts=facts)
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


def from_problem(status: int, problem: Mapping[str, Any]) -> RegistaError:
    """The exception for an RFC 9457 problem document."""
    facts = {
        key: value
        for key, value in problem.items()
        if key not in {"type", "title", "status", "detail", "code", "instance"}
    }
    detail = str(problem.get("detail") or problem.get("title") or f"the service answered {status}")
    error = _BY_STATUS.get(status, Failed)(str(problem.get("code") or f"http_{status}"), detail, facts=facts)
    error.status = status
    return error
