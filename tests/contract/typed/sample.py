"""What a type checker and an editor see of the client. `test_typed_client.py` has mypy check this file."""

from __future__ import annotations

from typing import Any, Literal, assert_type

import regista
from regista.client.async_publication import AsyncPublication
from regista.publishing.publication import Registered
from regista.shapes.approval import GatesAnswer, ReviewAnswer, ReviewListed
from regista.shapes.audit import Decision, InService
from regista.shapes.cleanup import CleanupRunAccepted, Simulation
from regista.shapes.registry import DiffAnswer, ModelAnswer, RolloutAnswer, VersionAnswer, VersionLine

Stage = Literal["Draft", "Staging", "Validated", "Production", "Archived", "Rejected"]


def functions(run: regista.Run) -> None:
    assert_type(
        regista.publish("churn", "churn.onnx", run, tier="high", tags={"a": "b"}), regista.Publication
    )
    assert_type(regista.publish("churn", draft=True).wait(30), Registered)
    assert_type(regista.load("churn@production"), regista.Loaded)
    regista.publish("churn", parents=[{"model": "bert", "number": 3, "relation": "base_model"}])
    regista.publish("churn", owners="team:risk")  # type: ignore[call-arg]
    regista.publish("churn", tier="highest")  # type: ignore[arg-type]
    regista.publish("churn", via="carrier pigeon")  # type: ignore[arg-type]


def answers(client: regista.Client) -> None:
    version = client.version("churn@3")
    assert_type(version, VersionAnswer)
    assert_type(version["semver"], str)
    assert_type(version["withdrawn"], str | None)
    assert_type(version["stage"], Stage)
    assert_type(version["evaluations"][0]["value"], float)
    assert_type(client.versions("churn", stage="Validated"), list[VersionLine])
    assert_type(client.model("churn")["tags"], dict[str, str])
    assert_type(client.models(search="churn"), list[ModelAnswer])
    assert_type(client.diff("churn", "1", "2"), DiffAnswer)
    assert_type(client.rollout("churn"), RolloutAnswer)
    assert_type(client.rollout("churn")["entries"][0]["percent"], int)
    assert_type(client.gates("churn", 3), GatesAnswer)
    assert_type(client.reviews(), list[ReviewListed])
    assert_type(client.review("r"), ReviewAnswer)
    assert_type(client.promotions("2026-11-01"), list[Decision])
    assert_type(client.serving_at(), list[InService])
    assert_type(client.clean_up(dry_run=True), Simulation)
    assert_type(client.clean_up(dry_run=False), CleanupRunAccepted)
    version["version"]  # type: ignore[typeddict-item]
    client.vesrion("churn@3")  # type: ignore[attr-defined]


def requests(client: regista.Client, run: regista.Run, own: dict[str, Any]) -> None:
    client.evaluate("churn@3", name="auc", value=0.94, dataset_digest="sha256:ab", independent=True)
    client.evaluate("churn@3", own)
    client.complete("churn@3", training=run.training(), schema=run.model_schema, expected=7)
    client.complete("churn@3", own, compare_with=2)
    client.change_rollout("churn", [{"number": 3, "percent": 100, "role": "champion"}])
    client.edit_model("churn", tier="high", expected=7)
    client.evaluate("churn@3", nmae="auc")  # type: ignore[call-arg]
    client.evaluate("churn@3", name="auc", value="high")  # type: ignore[arg-type]
    client.create_identity("anna", "human")  # type: ignore[arg-type]


async def asynchronous(client: regista.AsyncClient) -> None:
    assert_type(await client.version("churn@3"), VersionAnswer)
    assert_type(await client.publish("churn", "churn.onnx"), AsyncPublication)
    await client.publish("churn", owners="team:risk")  # type: ignore[call-arg]
