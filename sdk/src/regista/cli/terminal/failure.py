"""Print an error: what is wrong, and what to do next."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from regista.cli.terminal.output import say

HAVE_ADVICE = frozenset({404, 409, 412, 422})
"""The statuses whose detail, written by the service, states what to do next."""


def print_error(error: Any, *, as_json: bool) -> None:
    """Print a RegistaError on stderr, with its problems and its advice."""
    if as_json:
        problem = {"code": error.code, "detail": error.detail, "advice": error.advice, **error.facts}
        say(json.dumps(problem, default=str), err=True)
        return
    say(f"{error.code}: ", fg="red", bold=True, err=True, nl=False)
    before, problems, after = _once(str(error.detail), _problems(error.facts))
    say(before, err=True)
    for one in problems:
        say(f"  - {one}", err=True)
    if after:
        say(after, err=True)
    if advice := _advice(error):
        say(f"  → {advice}", dim=True, err=True)


def _problems(facts: Mapping[str, Any]) -> list[str]:
    return [shown for one in facts.get("problems") or facts.get("errors") or () if (shown := _shown(one))]


def _shown(problem: Any) -> str:
    if not isinstance(problem, dict):
        return str(problem)
    return ": ".join(filter(None, (str(problem.get(name) or "") for name in ("field", "problem"))))


def _once(detail: str, problems: Sequence[str]) -> tuple[str, Sequence[str], str]:
    """Return the detail up to its problems, the problems, and the detail after them.

    Services write the first problems, or all, into the detail, joined by semicolons: for programs that show
    only that. A single problem stays there.
    """
    for count in range(len(problems), 0, -1):
        before, is_there, after = detail.partition("; ".join(problems[:count]))
        if is_there:
            if len(problems) == 1:
                return detail, (), ""
            return before.rstrip(), problems, after.removeprefix("; …").lstrip(" .;")
    return detail, problems, ""


def _advice(error: Any) -> str:
    """Return what to type next, or "" where the detail states it."""
    if "listed_at" in error.facts:
        return str(error.advice)
    if error.code == "not_validated" and error.facts.get("next_step") == "wait":
        return "`regista promote --wait` waits for its gates first, `regista versions wait` only for them."
    if error.code == "stale_rollout" and "champion" in error.facts:
        return f"Decide on what serves now, then repeat with --from {error.facts['champion']}."
    if "expected" in error.facts and "revision" in error.facts:
        option = "--revision" if error.code == "stale_review" else "--if-revision"
        return f"Decide on the present state, then repeat with {option} {error.facts['revision']}."
    return "" if error.status in HAVE_ADVICE else str(error.advice)
