"""Environments, as every service refers to them: where they hold, and what to answer for an unknown one."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from shared.deciding.access import covers
from shared.deciding.decider import NotFound


def is_for(outer: str, namespace: str) -> bool:
    """Return whether what is declared in `outer` holds in the namespace: there, or above it."""
    return not outer or covers(outer, namespace)


def unknown_environment(name: str, declared: Sequence[str]) -> NotFound:
    """Return the error for an environment that is not declared, with the nearest of those that are."""
    near = get_close_matches(name.lower(), sorted(declared), n=1, cutoff=0.5)
    meant = f" (did you mean {near[0]}?)" if near else ""
    return NotFound(
        "unknown_environment",
        f"There is no environment {name!r:.60} here{meant}: there are "
        f"{', '.join(sorted(declared)[:20]) or 'none'}. `regista environment list` shows all; an admin "
        "declares another one with `regista environment create`.",
        nearest=near[0] if near else None,
        environments=sorted(declared)[:20],
    )
