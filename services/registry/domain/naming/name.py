"""Names of models: `[namespace.]name`, claimed once and for ever.

A renamed model's old name stays its redirect, so a name never changes its model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import assert_never
from uuid import UUID

from services.registry.domain.model.events import RegistrationRefused
from shared.deciding.decider import Fold, Unprocessable

LONGEST = 200
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class NameClaimed:
    name: str
    model_id: str


NameEvent = NameClaimed | RegistrationRefused


@dataclass(frozen=True, slots=True)
class NameState:
    """`model_id` is empty while nobody has the name."""

    model_id: str = ""


def evolve(state: NameState, event: NameEvent) -> NameState:
    match event:
        case NameClaimed():
            return NameState(event.model_id)
        case RegistrationRefused():
            return state
        case _:
            assert_never(event)


NAME: Fold[NameEvent, NameState] = Fold("name", NameState(), evolve)
"""A name is claimed together with its model: see registration.py and description.py."""


def stream_of(name: str) -> str:
    """The stream of a name."""
    return f"name-{name}"


def is_model_id(text: str) -> bool:
    """Whether the text is a model's id and no name."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def check_name(name: str) -> None:
    """Raises Unprocessable for what can be no model's name."""
    if len(name) > LONGEST or not _NAME.fullmatch(name) or is_model_id(name):
        raise Unprocessable(
            "invalid_name",
            f"{name!r:.80} cannot be a model's name: use letters, digits, '_' and '-', with dots between namespace and name, at most {LONGEST} characters.",
        )
