"""Names of models: `[namespace.]name`, claimed once and never given to another model.

The old name of a renamed model stays a redirect to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never
from uuid import UUID

from regista.wire.names import LONGEST_NAME, may_be_new, may_be_renamed_to
from services.registry.domain.model.events import RegistrationRefused
from shared.deciding.decider import Fold, Unprocessable


@dataclass(frozen=True, slots=True)
class NameClaimed:
    name: str
    model_id: str


NameEvent = NameClaimed | RegistrationRefused


@dataclass(frozen=True, slots=True)
class NameState:
    """`model_id` is empty while no model has the name."""

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
"""A name is claimed together with its model: see registration/registration.py and naming/description.py."""


def stream_of(name: str) -> str:
    return f"name-{name}"


def is_model_id(text: str) -> bool:
    """Return whether the text is a model's id, not a name."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def check_name(name: str, *, renamed: bool = False) -> None:
    """Raise Unprocessable when the text cannot be the name of a new model, or the new name of a model."""
    allowed = may_be_renamed_to(name) if renamed else may_be_new(name)
    if not allowed or is_model_id(name):
        raise Unprocessable(
            "invalid_name",
            f"{name!r:.80} cannot be a model's name: use at most {LONGEST_NAME} letters, digits, '_' and '-',"
            " with dots between namespace and name, and a letter or digit first in each part.",
        )
