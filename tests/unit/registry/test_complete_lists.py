"""Lists that must have every member of a type: each member that is added must be added there."""

from __future__ import annotations

from typing import get_args

from regista.wire.mandatory import MANDATORY
from services.registry.consumers import subscriptions
from services.registry.domain import noted
from services.registry.domain.model.events import Role
from services.registry.domain.model.metadata import Kind, Tier
from services.registry.domain.naming.description import TIERS
from services.registry.domain.registration.mandatory import PARTS
from services.registry.domain.serving.rollout import ROLES_RISING
from services.registry.domain.versioning.bump import LEVEL_OF_PART, LEVELS
from services.registry.domain.versioning.change import Level, Part
from shared.foundation.settings import Settings
from shared.http.app import App


def test_every_kind_of_model_has_a_profile_of_mandatory_fields_that_can_be_checked():
    assert MANDATORY.keys() == set(get_args(Kind))
    assert {part for profile in MANDATORY.values() for part in profile} == PARTS.keys()


def test_every_part_of_a_document_proves_a_level_but_metrics_have_a_rule_of_their_own():
    assert {*LEVEL_OF_PART, "metrics"} == set(get_args(Part))


def test_orders_have_every_member():
    assert set(ROLES_RISING) == set(get_args(Role))
    assert TIERS == get_args(Tier) == ("low", "medium", "high")
    assert LEVELS == get_args(Level) == ("patch", "minor", "major")


def test_every_event_that_the_registry_can_read_is_subscribed_to():
    app = App("registry", Settings())
    types = {type_ for one in subscriptions(app)[1:] for type_ in one.handlers}
    assert types == noted.READERS.keys()
