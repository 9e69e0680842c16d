"""How many tags a model or a version has, and how long they are together."""

from __future__ import annotations

from collections.abc import Mapping

from regista.wire import limits
from shared.deciding.decider import RuleBroken


def problem_of_tags(tags: Mapping[str, str], before: int = 0) -> str:
    """Return what is wrong with all tags of a model or a version, or "". `before`: how many it had.

    Those that had more by an earlier limit keep them.
    """
    if len(tags) > max(limits.TAGS, before):
        return f"at most {limits.TAGS} tags, and this would be {len(tags)}"
    if (size := sum(len(name) + len(value) for name, value in tags.items())) > limits.TAGS_TEXT:
        return (
            f"at most {limits.TAGS_TEXT:,} characters in all names and values of tags, and these are {size:,}"
        )
    return ""


def check_tags(tags: Mapping[str, str], what: str, before: int = 0) -> None:
    """Raise RuleBroken for tags that `what`, "A model" or "A version", may not have."""
    if problem := problem_of_tags(tags, before):
        names = ", ".join(sorted(tags)[:10])
        raise RuleBroken("too_many_tags", f"{what} has {problem}: shorten or remove some of {names}.")
