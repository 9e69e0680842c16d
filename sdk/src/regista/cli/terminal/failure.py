"""Print an error: what is wrong, and what to do next."""

from __future__ import annotations

import json
from typing import Any

from regista.cli.terminal.output import say

HAVE_ADVICE = frozenset({404, 409, 412, 422})
"""The statuses whose detail, written by the service, states what to do next."""
LISTED_BY = {
    "unknown_review": "regista reviews",
    "unknown_policy": "regista policy list",
    "unknown_cleanup_run": "regista cleanup list",
    "unknown_history_file": "regista history list",
}
"""Codes of services whose detail names an HTTP request for the list; the command for it."""


def print_error(error: Any, *, as_json: bool) -> None:
    """Print a RegistaError on stderr, with its problems and its advice."""
    if as_json:
        problem = {"code": error.code, "detail": error.detail, "advice": error.advice, **error.facts}
        say(json.dumps(problem, default=str), err=True)
        return
    say(f"{error.code}: ", fg="red", bold=True, err=True, nl=False)
    say(error.detail, err=True)
    for problem in error.facts.get("problems", ()) or error.facts.get("errors", ()):
        shown = problem
        if isinstance(problem, dict):
            shown = f"{problem.get('field', '')}: {problem.get('problem', '')}"
        say(f"  - {shown}", err=True)
    if advice := _advice(error):
        say(f"  → {advice}", dim=True, err=True)


def _advice(error: Any) -> str:
    """Return what to type next, or "" where the detail states it."""
    if error.code in LISTED_BY:
        return f"`{LISTED_BY[error.code]}` lists what there is."
    if error.code == "not_validated" and error.facts.get("next_step") == "wait":
        return "`regista promote --wait` waits for its gates first, `regista versions wait` only for them."
    if "expected" in error.facts and "revision" in error.facts:
        option = "--revision" if error.code == "stale_review" else "--if-revision"
        return f"Decide on the present state, then repeat with {option} {error.facts['revision']}."
    return "" if error.status in HAVE_ADVICE else str(error.advice)
