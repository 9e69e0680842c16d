"""Find what serves in production in another registry, by the stages that it states of its versions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from regista.importing.source import Serving, SourceVersion

PRODUCTION = "production"


def newest_in_production(
    versions: Sequence[SourceVersion], stage_of: Callable[[SourceVersion], str]
) -> Serving | None:
    """Return the last of these versions whose stage is `Production`, in upper or lower case."""
    for version in reversed(versions):
        if (stage := stage_of(version).strip()).casefold() == PRODUCTION:
            return Serving(version.number, stage)
    return None
