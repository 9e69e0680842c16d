"""Auditors' queries over HTTP, answered by the running service from events of other services as stored."""

from __future__ import annotations

from typing import Any

import pytest

from regista.wire.digests import digest
from tests.integration.audit.conftest import (
    MODEL,
    OTHER,
    RULES,
    STREAM,
    Audit,
    Log,
    at,
    evidence,
    identified,
    indexed,
    promoted,
    registered,
)

pytestmark = pytest.mark.servers


async def test_the_timeline_has_actor_time_reason_and_cause_also_across_services(service, auditor, log: Log):
    await registered(log, 1, "1.0.0")
    ids = await promoted(log, 1, "1.0.0")
    await indexed(service, auditor, log)
    answer = await service.get("/v1/timeline/fraud.churn", auditor)
    assert (answer["model_id"], answer["model"]) == (MODEL, "fraud.churn")
    by_type = {item["type"]: item for item in answer["items"]}
    assert [item["type"] for item in answer["items"]][:3] == [
        "VersionRegistered",
        "PromotionRequested",
        "GatesEvaluated",
    ]
    asked = by_type["PromotionRequested"]
    assert (asked["actor"]["subject"], asked["reason"], asked["number"]) == ("ann", "better", 1)
    assert asked["recorded_at"] == at(2).isoformat().replace("+00:00", "Z")
    assert by_type["ReviewOpened"]["caused_by"]["event_id"] == ids["asked"]
    assert by_type["ReviewOpened"]["caused_by"]["actor"]["subject"] == "ann"
    assert by_type["VersionRegistered"]["caused_by"] is None
    assert await service.get(f"/v1/timeline/{MODEL}", auditor) == answer


async def test_the_causal_tree_shows_each_effect_under_its_cause(service, auditor, log: Log):
    ids = await promoted(log, 1, "1.0.0")
    await indexed(service, auditor, log)
    roots = (await service.get("/v1/timeline/fraud.churn", auditor, tree="true"))["items"]
    asked = next(r for r in roots if r["event_id"] == ids["asked"])
    assert [e["type"] for e in asked["effects"]] == ["GatesEvaluated", "ReviewOpened"]


async def test_a_timeline_can_be_read_page_by_page_and_of_one_version(service, auditor, log: Log):
    for number in (1, 2, 3):
        await registered(log, number, f"1.0.{number}")
    await indexed(service, auditor, log)
    seen, token = [], ""
    while True:
        page = await service.get("/v1/timeline/fraud.churn", auditor, page_size=2, page_token=token)
        seen += [item["number"] for item in page["items"]]
        if not (token := page["next_page_token"]):
            break
    assert seen == [1, 2, 3]
    assert [
        i["number"] for i in (await service.get("/v1/timeline/fraud.churn", auditor, number=2))["items"]
    ] == [2]
    await log.append(
        "registry",
        STREAM,
        "RolloutChanged",
        {"environment": "production", "entries": [{"number": 2}, {"number": 3}]},
    )
    await indexed(service, auditor, log)
    assert [
        i["type"] for i in (await service.get("/v1/timeline/fraud.churn", auditor, number=3))["items"]
    ] == ["VersionRegistered", "RolloutChanged"]


async def test_as_of_answers_what_served_then_who_approved_it_and_on_what_evidence(
    service, auditor, log: Log
):
    await registered(log, 1, "1.0.0")
    await promoted(log, 1, "1.0.0")
    await log.append(
        "registry", STREAM, "AliasSet", {"model": "fraud.churn", "number": 1, "alias": "champion"}
    )
    between = at(9.5)
    await registered(log, 2, "1.1.0")
    await promoted(log, 2, "1.1.0", ("bea", "erik"))
    await indexed(service, auditor, log)
    then = await service.get(
        "/v1/as-of", auditor, model="fraud.churn", environment="production", at=between.isoformat()
    )
    now = await service.get("/v1/as-of", auditor, model=MODEL)
    [one], [two] = then["entries"], now["entries"]
    assert (one["number"], one["semver"], one["percent"], two["number"]) == (1, "1.0.0", 100, 2)
    assert [a["subject"] for a in one["promotion"]["approvers"]] == ["bea", "carl"]
    assert [a["subject"] for a in two["promotion"]["approvers"]] == ["bea", "erik"]
    assert one["promotion"]["evidence_digest"] == "sha256:evidence-1"
    assert one["promotion"]["requested"]["by"]["subject"] == "ann"
    assert one["promotion"]["gates"] == [{"gate": "metric", "passed": True}]
    assert one["version"]["metadata"]["artifact"]["digest"] == "sha256:1"
    assert one["promotion"]["event"]["leaf_index"] is not None
    early = await service.call("GET", "/v1/as-of?model=fraud.churn&at=2020-01-01", auditor)
    assert (early.status_code, early.json()["code"]) == (422, "before_first_event")


async def test_as_of_has_the_corrections_up_to_that_moment(service, auditor, log: Log):
    await registered(log, 1, "1.0.0")
    await promoted(log, 1, "1.0.0")
    before = at(next(log.minutes))
    for version, link in ((1, "http://runs/2"), (2, "http://other"), (1, "http://runs/3")):
        changes = [{"field": "training.run_url", "before": "http://runs/1", "after": link}]
        data = {"model": "fraud.churn", "number": version, "semver": "1.0.0", "changes": changes}
        await log.append("registry", STREAM, "MetadataCorrected", data | {"corrected": {}}, by="carl")
        after = at(next(log.minutes))
    await indexed(service, auditor, log)

    async def then(moment: Any) -> dict[str, Any]:
        found = await service.get("/v1/as-of", auditor, model=MODEL, at=moment.isoformat())
        return found["entries"][0]["version"]

    assert "training" not in (await then(before))["metadata"]
    assert (await then(before))["corrections"] == []
    corrected = await then(after)
    assert corrected["metadata"]["training"] == {"run_url": "http://runs/3"}
    assert corrected["metadata"]["artifact"]["digest"] == "sha256:1"
    assert [one["by"]["subject"] for one in corrected["corrections"]] == ["carl", "carl"]
    assert corrected["corrections"][0]["event"]["leaf_index"] is not None


async def test_events_of_a_stream_and_of_a_correlation(service, auditor, log: Log):
    await registered(log, 1, "1.0.0")
    await promoted(log, 1, "1.0.0")
    await indexed(service, auditor, log)
    of_stream = await service.get("/v1/events", auditor, stream="review-p1")
    assert [e["revision"] for e in of_stream["items"]] == [1, 2, 3]
    correlated = await service.get("/v1/events", auditor, correlation_id="promotion-1")
    assert {e["service"] for e in correlated["items"]} == {"registry", "approval"}
    assert (await service.call("GET", "/v1/events", auditor)).status_code == 422


async def overridden(log: Log, number: int) -> None:
    """The glass was broken on a promotion that had been denied; it granted the next one."""
    about = {"model_id": MODEL, "model": "fraud.churn", "number": number}
    sealed = evidence(number)
    seal = {
        "version": sealed["version_digest"],
        "artifact": sealed["artifact_digest"],
        "policy": RULES["digest"],
        "evidence": digest(sealed | {"model": ""}),
    }
    used = {
        "about": about | {"promotion_id": "denied"},
        "environment": "production",
        "by": "olga",
        "reason": "outage",
        "seal": seal,
    }
    await identified(log, "olga")
    await log.append("approval", "review-denied", "OverrideUsed", used, by="olga")
    version = {**about, "promotion_id": "again", "environment": "production", "digest": "sha256:again"}
    facts = {"evidence_digest": f"sha256:facts-{number}", "policy": RULES}
    await log.append(
        "registry", STREAM, "PromotionRequested", version | {"requester": "ann", "creator": "dora"}, by="ann"
    )
    await log.append(
        "approval",
        f"gate-{MODEL}@{number}",
        "GatesEvaluated",
        version | facts | {"passed": False, "evidence": sealed},
    )
    grant = version | facts | {"approvers": ["olga"], "override": True, "review_id": "denied"}
    await log.append("approval", f"gate-{MODEL}@{number}", "PromotionGranted", grant)
    await log.append("registry", STREAM, "VersionPromoted", version)
    entries = [{"number": number, "percent": 100, "role": "champion"}]
    await log.append(
        "registry",
        STREAM,
        "RolloutChanged",
        {"model": "fraud.churn", "environment": "production", "entries": entries, "previous": []},
    )


async def test_an_override_of_an_earlier_promotion_is_reported_as_a_decision(service, auditor, log: Log):
    await overridden(log, 1)
    await indexed(service, auditor, log)
    [entry] = (await service.get("/v1/as-of", auditor, model="fraud.churn"))["entries"]
    assert (entry["promotion"]["override"]["by"]["subject"], entry["promotion"]["override"]["reason"]) == (
        "olga",
        "outage",
    )
    answer = await service.get("/v1/invariants", auditor)
    assert answer["holds"], answer


async def test_a_query_is_limited_to_indexed_events(
    service, auditor, log: Log, audit: Audit, database, audit_key
):
    await registered(log, 1, "1.0.0")
    await promoted(log, 1, "1.0.0")
    await indexed(service, auditor, log)
    await audit.connection.execute(
        "ALTER TABLE audit.event_index ADD CONSTRAINT broken CHECK (type <> 'Poison')"
    )
    await log.append("registry", STREAM, "Poison", {})
    minute = log.revisions[STREAM] and next(log.minutes)
    answer = await service.get("/v1/as-of", auditor, model="fraud.churn")
    assert answer["at"] == answer["indexed_up_to"] < at(minute).isoformat()
    assert [e["number"] for e in answer["entries"]] == [1]
    answer = await service.call(
        "GET", "/v1/as-of", auditor, params={"model": "fraud.churn", "at": at(minute).isoformat()}
    )
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (
        503,
        "not_indexed_yet",
        "1",
    )

    async def sealed():
        return await audit.connection.fetchval(
            "SELECT size = (SELECT count(*) FROM log.events) FROM audit.tree"
        )

    await service.until(sealed)
    (found,) = [
        f
        for f in (await service.get("/v1/invariants", auditor))["invariants"]
        if f["name"] == "I9-production"
    ]
    assert (found["holds"], "not indexed" in found["violations"][0]["fault"]) == (False, True)


async def test_a_versions_timeline_has_its_end_and_the_state_of_its_bytes(service, auditor, log: Log):
    await registered(log, 1, "1.0.0")
    bytes_ = "artifact-" + "0" * 64
    noted = {
        "source": {"service": "registry"},
        "data": {"model_id": MODEL, "model": "fraud.churn", "number": 1},
    }
    await log.append("artifact", bytes_, "Noted", noted)
    await log.append("artifact", bytes_, "ArtifactVerified", {"digest": "d", "uri": "s3://x", "files": []})
    other = [{"number": 2, "percent": 100, "role": "champion"}]
    await log.append(
        "registry",
        STREAM,
        "RolloutChanged",
        {"environment": "production", "entries": other, "previous": [{"number": 1}]},
    )
    await log.append(
        "artifact",
        bytes_,
        "ArtifactDeleted",
        {"digest": "d", "versions": [{"model_id": MODEL, "number": 1}, {"model_id": OTHER, "number": 3}]},
    )
    await indexed(service, auditor, log)
    of_one = (await service.get("/v1/timeline/fraud.churn", auditor, number=1))["items"]
    assert [i["type"] for i in of_one] == [
        "VersionRegistered",
        "Noted",
        "ArtifactVerified",
        "RolloutChanged",
        "ArtifactDeleted",
    ]
    assert (await service.get("/v1/timeline/fraud.churn", auditor, number=3))["items"] == []


async def test_events_about_other_namespaces_are_shown_only_by_their_position(
    service, people, auditor, log: Log
):
    of_fraud = await people.person("fred", ("auditor", "fraud"))
    secret = {
        "model": "other.base",
        "number": 1,
        "child_model_id": MODEL,
        "child_number": 1,
        "secret": "theirs",
    }
    linked = await log.append(
        "registry", f"model-{OTHER}", "ChildLinked", secret, by="olga", reason="a reason of theirs"
    )
    await log.append(
        "registry",
        STREAM,
        "VersionRegistered",
        {"model": "fraud.churn", "number": 1},
        by="service:registry",
        caused_by=linked,
    )
    asked = await log.append("cleanup", "sweep-1", "SweepPlanned", {"model_id": ""}, by="olga", reason="all")
    await log.append(
        "cleanup",
        f"retention-{MODEL}",
        "VersionSpared",
        {"model_id": MODEL, "number": 1},
        by="service:cleanup",
        caused_by=asked,
    )
    await indexed(service, auditor, log)
    link, own, spared = (await service.get("/v1/timeline/fraud.churn", of_fraud))["items"]
    assert (link["type"], link["hidden"], link["data"], link["reason"], link["actor"]["subject"]) == (
        "ChildLinked",
        True,
        None,
        "",
        "hidden",
    )
    assert (own["hidden"], own["caused_by"]["event_id"], own["caused_by"]["actor"]["subject"]) == (
        False,
        linked,
        "hidden",
    )
    assert (spared["hidden"], spared["caused_by"]["type"], spared["caused_by"]["reason"]) == (
        False,
        "SweepPlanned",
        "",
    )
    tree = await service.call("GET", "/v1/timeline/fraud.churn", of_fraud, params={"tree": "true"})
    assert "theirs" not in tree.text
    assert "olga" not in tree.text
    assert (await service.get("/v1/timeline/fraud.churn", auditor))["items"][0]["data"] == secret


async def test_engineers_read_the_timeline_and_as_of_of_what_they_run_and_nothing_else(
    service, people, auditor, log: Log
):
    engineer = await people.person("eve", ("engineer", "fraud"))
    elsewhere = await people.person("emil", ("engineer", "other"))
    await registered(log, 1, "1.0.0")
    await indexed(service, auditor, log)
    timeline, as_of = "/v1/timeline/fraud.churn", {"model": "fraud.churn"}
    assert await service.get(timeline, engineer) == await service.get(timeline, auditor)
    assert (await service.get("/v1/as-of", engineer, **as_of))["model"] == "fraud.churn"
    assert (await service.call("GET", timeline, elsewhere)).status_code == 404
    assert (await service.call("GET", "/v1/as-of", elsewhere, params=as_of)).status_code == 404
    for path in (f"/v1/events?stream={STREAM}", "/v1/reports/promotions", "/v1/checkpoints"):
        assert (await service.call("GET", path, engineer)).status_code == 403


async def test_only_auditors_may_ask_and_others_learn_nothing(service, people, auditor, log: Log):
    publisher = await people.person("eve", ("publisher", "*"))
    of_fraud = await people.person("fred", ("auditor", "fraud"))
    of_other = await people.person("olga", ("auditor", "other"))
    await registered(log, 1, "1.0.0")
    await indexed(service, auditor, log)
    assert (await service.call("GET", "/v1/timeline/fraud.churn", publisher)).status_code == 403
    assert (await service.call("GET", "/v1/timeline/fraud.churn", of_fraud)).status_code == 200
    assert (await service.call("GET", f"/v1/timeline/{MODEL}", of_other)).status_code == 404
    assert (await service.call("GET", "/v1/timeline/other.unknown", of_other)).status_code == 404
    assert (await service.call("GET", "/v1/log-checkpoints", of_fraud)).status_code == 403
    assert (await service.call("GET", "/v1/timeline/fraud.churn", "rg_no_key")).status_code == 401


async def declare(log: Log, *environments: str) -> None:
    for full in environments:
        namespace, _, name = full.rpartition(".")
        data = {"namespace": namespace, "name": name, "production": True, "order": 1, "description": ""}
        await log.append("registry", "environments-all", "EnvironmentCreated", data)


async def test_an_environment_that_was_never_declared_is_refused_with_those_that_were(
    service, auditor, log: Log
):
    await registered(log, 1, "1.0.0")
    await declare(log, "production", "fraud.eu", "crm.us")
    await indexed(service, auditor, log)
    for path, asked in (("as-of", {"model": "fraud.churn"}), ("reports/serving", {})):
        answer = await service.call(
            "GET", f"/v1/{path}", auditor, params={**asked, "environment": "prodction"}
        )
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_environment"), path
        assert answer.json()["nearest"] == "production"
    of_model = await service.call(
        "GET", "/v1/as-of", auditor, params={"model": "fraud.churn", "environment": "us"}
    )
    assert of_model.status_code == 404, "no model of fraud serves in an environment of crm"
    assert of_model.json()["environments"] == ["eu", "production"]
    for name in ("production", "eu"):
        empty = await service.get("/v1/as-of", auditor, model="fraud.churn", environment=name)
        assert empty["entries"] == [], "declared, and nothing serves there"


async def test_a_retired_environment_can_be_asked_about(service, auditor, log: Log):
    await registered(log, 1, "1.0.0")
    await declare(log, "production", "old")
    await log.append("registry", "environments-all", "EnvironmentRetired", {"namespace": "", "name": "old"})
    await indexed(service, auditor, log)
    answer = await service.get("/v1/as-of", auditor, model="fraud.churn", environment="old")
    assert answer["entries"] == []
