"""Messages of registry and artifact on a real database: noted once, assessed, the same after a rebuild."""

from __future__ import annotations

import itertools

import pytest

from services.approval.domain import policy
from services.approval.domain.builtin_policies import BUILTIN
from services.approval.domain.gate_events import GatesEvaluated, PromotionDenied
from services.approval.domain.gate_kinds import Gate
from services.approval.domain.policy import Policy, PublishPolicy
from services.approval.domain.review_events import ReviewLapsed, ReviewOpened, ReviewRefreshed
from services.approval.service import SERVICE
from shared.deciding.events import Actor, Noted
from shared.deciding.submission import Cause, Submission
from shared.log import projector
from shared.messaging.kafka import Malformed


async def test_there_is_a_policy_from_the_first_start_and_a_second_start_adds_none(open_desk):
    one = await open_desk()
    two = await open_desk()
    rows = await two.app.pool.fetch("SELECT name, revision, published_by FROM policies ORDER BY name")
    builtin = ("default", "low-risk", "non-production")
    assert [tuple(r) for r in rows] == [(name, 1, "system:approval") for name in builtin]
    assert await one.digest() == await two.digest()


async def test_a_registered_and_released_version_has_its_gates_evaluated(desk, version):
    assert [type(e) for e in await desk.registry("VersionRegistered", version())] == [Noted]
    noted, evaluated = await desk.artifact("ArtifactReleased")
    assert isinstance(noted, Noted)
    assert (evaluated.stage, evaluated.passed, evaluated.policy.name) == ("Validated", True, "default")
    row = await desk.app.pool.fetchrow(
        "SELECT passed, evidence_digest FROM gates WHERE model_id = 'm' AND number = 1"
    )
    assert (row["passed"], row["evidence_digest"]) == (True, evaluated.evidence_digest)


async def test_notes_and_evaluations_carry_the_event_that_caused_them(desk, version):
    await desk.registry("VersionRegistered", version())
    await desk.artifact("ArtifactReleased")
    stored = await desk.app.pool.fetch(
        "SELECT bytes FROM log.events_approval WHERE type IN ('Noted', 'GatesEvaluated') ORDER BY (tx, seq)"
    )
    events = [SERVICE.events.recorded("approval", r["bytes"]) for r in stored]
    assert [(r.type, r.causation_id, r.correlation_id) for r in events] == [
        ("Noted", "model-m/1", "story"),
        ("Noted", "artifact-m1/1", "story"),
        ("GatesEvaluated", "artifact-m1/1", "story"),
    ]


async def test_a_repeated_message_changes_nothing(desk, version):
    messages = [
        desk.message("registry", "VersionRegistered", "model-m", version()),
        desk.message(
            "artifact",
            "ArtifactReleased",
            "artifact-m1",
            {"digest": "sha256:artifact1", "model_id": "m", "number": 1},
        ),
    ]
    await desk.receive(*messages)
    count = "SELECT count(*) FROM log.events_approval"
    before = await desk.app.pool.fetchval(count)
    await desk.receive(*messages)
    await desk.receive(messages[0])
    assert await desk.app.pool.fetchval(count) == before


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_topics_in_any_order_give_the_same_verdict(desk, version, order):
    champion = {
        "number": 9,
        "semver": "1.9.0",
        "artifact_digest": "sha256:z",
        "signature": None,
        "evaluations": [
            {"name": "accuracy", "value": 0.95, "dataset_digest": version()["training"]["dataset"]["digest"]}
        ],
    }
    messages = [
        desk.message("registry", "VersionRegistered", "model-m", version(), 1),
        desk.message(
            "artifact",
            "ArtifactReleased",
            "artifact-m1",
            {"digest": "sha256:artifact1", "model_id": "m", "number": 1},
            1,
        ),
        desk.message(
            "registry",
            "RolloutChanged",
            "model-m-rollouts",
            {"model_id": "m", "environment": "production", "champion": champion},
            1,
        ),
    ]
    for n in order:
        await desk.receive(messages[n])
    row = await desk.app.pool.fetchrow("SELECT passed, results::text FROM gates WHERE model_id = 'm'")
    assert row["passed"] is False
    assert "is worse than 0.95 of the champion 1.9.0" in row["results"]


async def test_a_message_without_what_approval_decides_on_is_malformed(desk):
    handler = desk.process.subscriptions[0].handlers["regista.registry.VersionRegistered.v1"]
    with pytest.raises(Malformed, match="number"):
        await handler.prepare(
            desk.message("registry", "VersionRegistered", "model-m", {"model_id": "m", "model": "team.churn"})
        )


async def test_a_new_champion_is_shown_in_the_open_review(desk, request_promotion, version):
    assert ReviewOpened in map(type, await request_promotion())
    champion = {"number": 9, "semver": "0.9.0", "evaluations": version(9, 0.8)["training"]["metrics"]}
    happened = await desk.registry(
        "RolloutChanged", {"model_id": "m", "environment": "production", "champion": champion}
    )
    assert [type(e) for e in happened] == [Noted, GatesEvaluated, ReviewRefreshed]
    row = await desk.app.pool.fetchrow(
        "SELECT state, revision, evidence->'champion'->>'semver' AS champion FROM reviews"
    )
    assert tuple(row) == ("open", 2, "0.9.0")


async def test_new_evidence_lapses_the_review_and_denies_the_promotion(desk, request_promotion):
    await request_promotion()
    evaluation = {
        "name": "accuracy",
        "value": 0.5,
        "dataset_digest": "sha256:other",
        "independent": True,
        "by": "iris",
    }
    happened = await desk.registry(
        "EvaluationRecorded", {"model_id": "m", "number": 1, "evaluation": evaluation}
    )
    assert {ReviewLapsed, PromotionDenied} <= set(map(type, happened))
    row = await desk.app.pool.fetchrow("SELECT state, reasons::text FROM promotions")
    assert row["state"] == "refused"
    assert "lapsed: the evidence changed" in row["reasons"]
    assert await desk.app.pool.fetchval("SELECT count(*) FROM due WHERE kind = 'review-expiry'") == 0


async def test_the_review_of_a_superseded_promotion_lapses(desk, request_promotion):
    await request_promotion()
    facts = {
        "model_id": "m",
        "model": "team.churn",
        "number": 1,
        "semver": "1.1.0",
        "environment": "production",
    }
    await desk.registry("PromotionRefused", {**facts, "promotion_id": "p1", "reasons": ["superseded by p2"]})
    await desk.registry(
        "PromotionRequested", {**facts, "promotion_id": "p2", "digest": "sha256:newer", "requester": "rosa"}
    )
    rows = await desk.app.pool.fetch("SELECT review_id, state FROM reviews ORDER BY review_id")
    assert [tuple(r) for r in rows] == [("p1", "lapsed"), ("p2", "open")]


async def test_an_evaluation_reassesses_other_versions_only_if_it_is_of_the_champion(desk, version):
    for number in (1, 2, 3):
        await desk.registry("VersionRegistered", version(number))
        await desk.artifact("ArtifactReleased", number)
    champion = {"number": 3, "semver": "1.3.0", "evaluations": version(3, 0.5)["training"]["metrics"]}
    await desk.registry(
        "RolloutChanged", {"model_id": "m", "environment": "production", "champion": champion}
    )
    measured = desk.process.subscriptions[0].handlers["regista.registry.EvaluationRecorded.v1"]

    async def assessed(number):
        message = desk.message(
            "registry",
            "EvaluationRecorded",
            "model-m",
            {"model_id": "m", "number": number, "evaluation": {"name": "accuracy"}},
        )
        return {s.command.number for s in await measured.follow_up(message)}

    assert await assessed(1) == {1}
    assert await assessed(3) == {1, 2, 3}


async def test_a_noted_event_keeps_its_full_public_type(desk, version):
    [note] = await desk.registry("VersionRegistered", version())
    assert note.source.type == "regista.registry.VersionRegistered.v1"


async def test_everything_in_one_batch_comes_out_the_same(desk, version):
    facts = {"model_id": "m", "model": "team.churn", "number": 1, "semver": "1.1.0"}
    happened = await desk.receive(
        desk.message("registry", "VersionRegistered", "model-m", version()),
        desk.message(
            "artifact",
            "ArtifactReleased",
            "artifact-m1",
            {"digest": "sha256:artifact1", "model_id": "m", "number": 1},
        ),
        desk.message("registry", "VersionValidated", "model-m", facts),
        desk.message(
            "registry",
            "PromotionRequested",
            "model-m",
            {**facts, "promotion_id": "p1", "environment": "production", "digest": "d", "requester": "rosa"},
        ),
    )
    assert [type(e) for e in happened].count(ReviewOpened) == 1


async def test_read_models_rebuilt_from_the_log_equal_the_live_ones(desk, request_promotion):
    await request_promotion()
    await desk.registry("VersionRejected", {"model_id": "m", "number": 1})
    await request_promotion(2, "p2", accuracy=0.7)
    before = await desk.digest()
    rebuilt = await projector.rebuild(SERVICE, desk.app.pool)
    assert rebuilt.rows["reviews"] == 2
    assert await desk.digest() == before


async def test_a_version_noted_by_one_replica_and_its_bytes_by_another_are_assessed_once(open_desk, version):
    one, two = await open_desk(), await open_desk()
    assert [type(e) for e in await one.registry("VersionRegistered", version(1))] == [Noted]
    assert [type(e) for e in await two.artifact("ArtifactReleased", 1)] == [Noted, GatesEvaluated]
    bytes_ = {"digest": "sha256:artifact2", "model_id": "m", "number": 2}
    first = two.message("artifact", "ArtifactReleased", "artifact-m2", bytes_)
    assert [type(e) for e in await two.receive(first)] == [Noted]
    second = one.message("registry", "VersionRegistered", "model-m", version(2))
    assert [type(e) for e in await one.receive(second)] == [Noted, GatesEvaluated]


async def test_a_replica_that_has_not_seen_the_newest_policy_applies_it(open_desk, version):
    one, two = await open_desk(), await open_desk()
    strict = Policy({"Validated": (Gate("independent_evaluation", {}),)}, priority=5)
    streams = (policy.stream_of("strict"), policy.ALL)
    command, cause = PublishPolicy("strict", strict), Cause("tests", "strict", b"-")
    others = tuple(policy.stream_of(name) for name in BUILTIN)
    await one.app.transactor.submit(Submission(command, streams, cause, Actor("root"), depends_on=others))
    await two.registry("VersionRegistered", version())
    _, verdict = await two.artifact("ArtifactReleased")
    assert (verdict.policy.name, verdict.passed) == ("strict", False)


async def test_a_review_that_another_replica_opened_is_kept_up_to_date(open_desk, version):
    one, two = await open_desk(), await open_desk()
    facts = {"model_id": "m", "model": "team.churn", "number": 1, "semver": "1.1.0"}
    await two.registry("VersionRegistered", version())
    one.revisions |= two.revisions
    await one.artifact("ArtifactReleased")
    await one.registry("VersionValidated", facts)
    request = {"promotion_id": "p1", "environment": "production", "digest": "d", "requester": "rosa"}
    assert ReviewOpened in map(type, await one.registry("PromotionRequested", {**facts, **request}))
    recalled = two.message(
        "artifact", "ArtifactRecalled", "artifact-m1", {**facts, "digest": "sha256:artifact1"}, 2
    )
    assert {ReviewLapsed, PromotionDenied} <= set(map(type, await two.receive(recalled)))


async def test_a_note_whose_process_died_before_the_assessment_is_assessed_when_it_comes_again(
    open_desk, version
):
    one, two = await open_desk(), await open_desk()
    await one.artifact("ArtifactReleased")
    message = one.message("registry", "VersionRegistered", "model-m", version())
    handler = one.process.subscriptions[0].handlers[message.event.type]
    await one.app.transactor.submit_all(await handler.prepare(message))
    assert [type(e) for e in await two.receive(message)] == [GatesEvaluated]
