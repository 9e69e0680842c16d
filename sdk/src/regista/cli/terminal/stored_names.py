"""Name the public words for names of stored events that a screen shows as they are stored (docs/words.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from regista.cli.terminal.output import say
from regista.cli.terminal.session import Session

PUBLIC = {
    "ArtifactRecalled": "the bytes were withdrawn",
    "ArtifactReleased": "the bytes are available",
    "RecallProposed": "a withdrawal was proposed",
    "VersionRecalled": "the version was withdrawn",
    "base": "compared with",
    "base_semver": "compared with (semantic version)",
    "checkpoint": "log checkpoint",
    "recalled": "withdrawn",
    "recalled_ancestors": "withdrawn ancestors",
    "recalled_by": "withdrawn by",
    "released": "available",
    "signature": "schema",
    "sweep_id": "cleanup run",
    "two_to_recall": "a withdrawal needs two people",
}


def explain_stored_names(session: Session, *shown: Any) -> None:
    """Print below a screen, for people, what the stored names on it are called elsewhere."""
    found = sorted({name for value in shown for name in _names(value)} & PUBLIC.keys())
    if session.for_people and found:
        words = ", ".join(f"{name}: {PUBLIC[name]}" for name in found)
        say(f"stored names and their public words: {words}", err=True)


def _names(value: Any) -> Iterator[str]:
    """Yield the names of fields, and the types of events, at any depth."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if inner not in (None, "", [], {}):
                yield str(name)
                yield from _names(inner)
            if name in {"type", "kind"}:
                yield str(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _names(inner)
