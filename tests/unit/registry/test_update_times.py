"""Which acts change `last_updated_timestamp` of a model and of its versions, as in MLflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.registry.domain.labels.labels import HideModel, RemoveLabelAlias, SetLabels
from services.registry.domain.labels.modes import STREAM, MlflowModeSet
from services.registry.domain.naming.description import DescribeModel
from services.registry.domain.remarks.correction import EditVersion
from services.registry.domain.serving.alias import RemoveAlias, SetAlias
from services.registry.domain.serving.rollout import ChangeRollout, Share
from services.registry.domain.serving.stop import StopRollout
from services.registry.domain.withdrawal.rejection import RejectVersion
from services.registry.domain.withdrawal.retirement import RetireOnRequest
from services.registry.projections import project
from services.registry.tables import MODELS, VERSIONS
from shared.deciding.changes import Patch
from tests.unit.registry.given import MODEL_ID, Story, metadata
from tests.unit.registry.test_read_models import recorded

Act = Callable[[Story], Any]


def changed(story: Story, act: Act, mode: str) -> set[str]:
    """`model`, and the numbers of versions, of which the act states a new time."""
    if mode == "labels":
        story.append(MlflowModeSet("team", "labels"), STREAM)
    before = {(one.stream, one.revision) for one in recorded(story)}
    act(story)
    found = set()
    for one in recorded(story):
        if (one.stream, one.revision) in before:
            continue
        for change in project(one):
            if isinstance(change, Patch) and "changed_at" in change.columns:
                found |= {"model"} if change.table is MODELS else set()
                found |= {str(change.key["number"])} if change.table is VERSIONS else set()
    return found


@pytest.fixture
def story() -> Story:
    """Version 1 serves in production, 2 is Validated, 3 is in Staging."""
    found = Story()
    found.promote()
    found.validate(metadata(2))
    found.register(metadata(3))
    return found


def switched(story: Story) -> None:
    """Version 2 is promoted, and takes over the traffic."""
    story.request_promotion(2, "p2")
    story.grant_promotion("p2", 2)
    story.when(ChangeRollout(MODEL_ID, "production", (Share(2, 100, "champion"),)))


@pytest.mark.parametrize(
    ("act", "times"),
    [
        (lambda s: s.when(DescribeModel(MODEL_ID, description="who leaves")), {"model"}),
        (lambda s: s.when(DescribeModel(MODEL_ID, tag_changes={"a": "b"})), set()),
        (lambda s: s.when(EditVersion(MODEL_ID, 2, "ann", "the second")), {"2"}),
        (lambda s: s.when(EditVersion(MODEL_ID, 2, "ann", set_tags={"a": "b"})), set()),
        (lambda s: s.when(SetAlias(MODEL_ID, "best", 2)), set()),
        (lambda s: (s.when(SetAlias(MODEL_ID, "best", 2)), s.when(RemoveAlias(MODEL_ID, "best"))), set()),
        (lambda s: s.when(RejectVersion(MODEL_ID, 3, "wrong data")), {"model", "3"}),
        (lambda s: s.when(RetireOnRequest(MODEL_ID, 3)), {"model", "3"}),
        (lambda s: s.when(StopRollout(MODEL_ID, "production")), {"model", "1"}),
        (switched, {"model", "1", "2"}),
    ],
    ids=[
        "description",
        "tag of the model",
        "description of a version",
        "tag of a version",
        "alias",
        "alias removed",
        "reject",
        "retire",
        "stop",
        "another champion",
    ],
)
def test_where_governed(story: Story, act: Act, times: set[str]) -> None:
    assert changed(story, act, "governed") == times


@pytest.mark.parametrize(
    ("act", "times"),
    [
        (lambda s: s.when(SetLabels(MODEL_ID, 2, "Staging"), STREAM), {"model", "2"}),
        (lambda s: s.when(SetLabels(MODEL_ID, 2, hide=True), STREAM), {"model", "2"}),
        (lambda s: s.when(SetLabels(MODEL_ID, 2, alias="best"), STREAM), set()),
        (lambda s: s.when(HideModel(MODEL_ID, hidden=True), STREAM), {"model", "1", "2", "3"}),
    ],
    ids=["stage", "delete version", "alias", "delete model"],
)
def test_in_the_mode_labels(story: Story, act: Act, times: set[str]) -> None:
    assert changed(story, act, "labels") == times


def test_the_removal_of_a_label_alias_is_no_change(story: Story) -> None:
    story.append(MlflowModeSet("team", "labels"), STREAM)
    story.when(SetLabels(MODEL_ID, 2, alias="best"), STREAM)
    assert changed(story, lambda s: s.when(RemoveLabelAlias(MODEL_ID, "best"), STREAM), "labels") == set()
