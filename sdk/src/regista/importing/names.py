"""The names that models of another registry get here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from regista.errors import Invalid
from regista.wire.names import LONGEST_NAME, may_be_new, may_exist

_OTHERS = re.compile(r"[^A-Za-z0-9_-]+", re.ASCII)


def name_here(there: str, namespace: str = "") -> str:
    """Return the name of a model here; "" when nothing of its name there may be kept.

    Dots divide namespaces, as there are none in most registries. Every other run of characters that a name
    may not have becomes one hyphen. The name begins below `namespace`.
    """
    parts = [_OTHERS.sub("-", part).strip("-").lstrip("_-") for part in there.split(".")]
    own = ".".join(part for part in parts if part)
    name = f"{namespace}.{own}" if namespace and own else own
    return name if may_be_new(name) else ""


def names_here(
    there: Iterable[str], namespace: str = "", renamed: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the name here of each model there. `renamed` has the names that a person chose.

    Raises Invalid for a chosen name or a namespace that no model can have.
    """
    chosen = renamed or {}
    if namespace and not may_exist(namespace):
        raise Invalid("invalid_name", f"{namespace!r:.80} cannot be a namespace", advice=_ADVICE)
    for name in chosen.values():
        if not may_exist(name):
            raise Invalid("invalid_name", f"{name!r:.80} cannot be a model's name", advice=_ADVICE)
    return {one: chosen.get(one) or name_here(one, namespace) for one in there}


_ADVICE = (
    f"Use at most {LONGEST_NAME} letters, digits, '_' and '-', with dots between namespace and name, and a "
    "letter or digit first in each part."
)


def colliding(names: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the models there that would get the same name here, by that name."""
    by_name: dict[str, list[str]] = {}
    for there, here in names.items():
        by_name.setdefault(here, []).append(there)
    return {here: sorted(all_) for here, all_ in by_name.items() if here and len(all_) > 1}
