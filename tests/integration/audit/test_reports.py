"""Reports over all models: decisions of a period, what served on a day, acts, rights and policies then."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from regista.wire.keys import SigningKey
from shared.deciding.access import (
    IdentityCreated,
    IdentityDisabled,
    KeyIssued,
    KeyRevoked,
    RoleGranted,
    RoleRevoked,
)
from shared.deciding.issuers import GroupMapped, GroupUnmapped, IssuerTrusted, SignedIn
from tests.integration.audit.conftest import (
    EPOCH,
    MODEL,
    OTHER,
    RULES,
    STREAM,
    Audit,
    Log,
    at,
    indexed,
    promoted,
    published,
    registered,
)

pytestmark = pytest.mark.servers


def moment(minutes: float) -> str:
    return at(minutes).isoformat()


async def denied(log: Log, number: int, environment: str = "production") -> None:
    about = {"promotion_id": f"d{number}", "model_id": MODEL, "model": "fraud.churn", "number": number}
    reasons = {"environment": environment, "reasons": ["eva rejected it: too many false alarms"]}
    await log.append(
        "approval", f"gate-{MODEL}@{number}", "PromotionDenied", about | reasons, by="service:approval"
    )


async def of_another_namespace(log: Log) -> None:
    data = {"model": "sales.offers", "number": 1, "semver": "1.0.0", "promotion_id": "o1"}
    await log.append("registry", f"model-{OTHER}", "VersionRegistered", data, by="publisher-2")
    await log.append(
        "registry", f"model-{OTHER}", "VersionPromoted", data | {"environment": "production"}, by="ann"
    )
    entries = [{"number": 1, "semver": "1.0.0", "percent": 100, "role": "champion"}]
    rollout = {"model": "sales.offers", "environment": "lab", "entries": entries, "previous": []}
    await log.append("registry", f"model-{OTHER}", "RolloutChanged", rollout, by="ann")


async def until_known(service: Any, key: str) -> None:
    async def known() -> bool:
        return (await service.call("GET", "/v1/timeline/none", key)).status_code != 401

    await service.until(known)


async def test_promotions_of_all_models_come_newest_first_with_their_approvers(service, auditor, log: Log):
    await promoted(log, 1, "1.0.0")
    await of_another_namespace(log)
    await promoted(log, 2, "1.1.0", ("bea", "erik"))
    await indexed(service, auditor, log)
    items = (await service.get("/v1/reports/promotions", auditor))["items"]
    assert [(i["model"], i["number"]) for i in items] == [
        ("fraud.churn", 2),
        ("sales.offers", 1),
        ("fraud.churn", 1),
    ]
    newest = items[0]
    assert [a["subject"] for a in newest["promotion"]["approvers"]] == ["bea", "erik"]
    assert newest["promotion"]["requested"]["by"]["subject"] == "ann"
    assert newest["promotion"]["policy"] == RULES
    assert (newest["environment"], newest["event"]["fault"]) == ("production", "")


async def test_a_period_is_given_by_moments_or_by_days_in_utc(service, auditor, log: Log):
    await promoted(log, 1, "1.0.0")
    between = next(log.minutes)
    await promoted(log, 2, "1.1.0")
    await indexed(service, auditor, log)

    async def numbers(**period: Any) -> list[int]:
        return [
            i["number"] for i in (await service.get("/v1/reports/promotions", auditor, **period))["items"]
        ]

    assert await numbers(until=moment(between)) == [1]
    assert await numbers(since=moment(between)) == [2]
    assert await numbers(since="2026-03-01", until="2026-03-01") == [2, 1]
    assert await numbers(since="2026-03-02") == []
    assert await numbers(until="2026-02-28") == []
    assert (await service.call("GET", "/v1/reports/promotions?since=March", auditor)).status_code == 422


async def test_a_report_is_read_page_by_page_and_of_one_model(service, auditor, log: Log):
    for number in (1, 2, 3):
        await promoted(log, number, f"1.{number}.0")
    await of_another_namespace(log)
    await indexed(service, auditor, log)
    seen, token = [], ""
    while True:
        page = await service.get(
            "/v1/reports/promotions", auditor, model="fraud.churn", page_size=2, page_token=token
        )
        seen += [item["number"] for item in page["items"]]
        if not (token := page["next_page_token"]):
            break
    assert seen == [3, 2, 1]
    unknown = await service.call("GET", "/v1/reports/promotions?model=none", auditor)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_model")


async def test_denials_name_their_reasons_and_overrides_what_they_bypassed(service, auditor, log: Log):
    await denied(log, 4)
    about = {"model_id": MODEL, "model": "fraud.churn", "number": 5, "promotion_id": "o5"}
    used = {
        "about": about,
        "environment": "production",
        "by": "olga",
        "reason": "outage",
        "bypassed": ["people"],
    }
    await log.append("approval", "review-o5", "OverrideUsed", used, by="olga", reason="outage")
    await indexed(service, auditor, log)
    [denial] = (await service.get("/v1/reports/denials", auditor))["items"]
    [override] = (await service.get("/v1/reports/overrides", auditor))["items"]
    assert (denial["model"], denial["number"]) == ("fraud.churn", 4)
    assert denial["reasons"] == ["eva rejected it: too many false alarms"]
    assert (override["by"]["subject"], override["reasons"], override["bypassed"]) == (
        "olga",
        ["outage"],
        ["people"],
    )
    assert override["environment"] == "production"


async def test_an_override_has_its_after_review(service, auditor, log: Log):
    def about(number: int) -> dict[str, Any]:
        return {"model_id": MODEL, "model": "fraud.churn", "number": number, "promotion_id": f"o{number}"}

    for number in (5, 6):
        used = {"about": about(number), "environment": "production", "by": "olga", "reason": "outage"}
        await log.append("approval", f"review-o{number}", "OverrideUsed", used, by="olga")
    reviewed = {"about": about(5), "by": "ann", "justified": False, "comment": "there was none"}
    await log.append("approval", "review-o5", "OverrideReviewed", reviewed, by="ann")
    await indexed(service, auditor, log)
    missing, made = (await service.get("/v1/reports/overrides", auditor))["items"]
    assert missing["after_review"] is None
    found = made["after_review"]
    assert (found["by"]["subject"], found["justified"], found["comment"]) == ("ann", False, "there was none")
    assert found["event"]["type"] == "OverrideReviewed"


async def test_a_denial_that_registry_carries_out_is_listed_once(service, auditor, log: Log):
    await denied(log, 4)
    ended = {"model": "fraud.churn", "number": 4, "environment": "production", "reasons": ["no"]}
    await log.append(
        "registry", STREAM, "PromotionRefused", ended | {"promotion_id": "d4"}, by="service:approval"
    )
    await log.append("registry", STREAM, "PromotionRefused", ended | {"promotion_id": "e4"}, by="ann")
    await indexed(service, auditor, log)
    items = (await service.get("/v1/reports/denials", auditor))["items"]
    assert [(i["event"]["type"], i["reasons"]) for i in items] == [
        ("PromotionRefused", ["no"]),
        ("PromotionDenied", ["eva rejected it: too many false alarms"]),
    ]


@pytest.mark.parametrize(
    "path", ["reports/promotions", "reports/acts/ann", "reports/attempts", f"timeline/{MODEL}"]
)
async def test_a_period_that_ends_before_it_begins_is_refused(service, auditor, log: Log, path: str):
    await registered(log, 1, "1.0.0")
    await indexed(service, auditor, log)
    answer = await service.call("GET", f"/v1/{path}?since=2026-03-31&until=2026-03-01", auditor)
    assert (answer.status_code, answer.json()["code"]) == (422, "period_reversed")


async def test_what_served_on_a_day_is_one_question_over_all_models(service, auditor, log: Log):
    await promoted(log, 1, "1.0.0")
    before = next(log.minutes)
    await promoted(log, 2, "1.1.0")
    await of_another_namespace(log)
    await indexed(service, auditor, log)

    async def served(**query: Any) -> list[tuple[Any, ...]]:
        items = (await service.get("/v1/reports/serving", auditor, **query))["items"]
        return [(i["model"], i["environment"], [e["number"] for e in i["entries"]]) for i in items]

    assert await served() == [("fraud.churn", "production", [2]), ("sales.offers", "lab", [1])]
    assert await served(at=moment(before)) == [("fraud.churn", "production", [1])]
    assert await served(at="2026-03-01", environment="lab") == [("sales.offers", "lab", [1])]
    first = (await service.get("/v1/reports/serving", auditor))["items"][0]
    assert [a["subject"] for a in first["entries"][0]["promotion"]["approvers"]] == ["bea", "carl"]
    future = await service.call("GET", "/v1/reports/serving?at=2999-01-01", auditor)
    assert (future.status_code, future.json()["code"]) == (422, "moment_in_the_future")
    for report in ("serving", "rights", "policies"):
        early = await service.call("GET", f"/v1/reports/{report}?at=2020-01-01", auditor)
        assert (early.status_code, early.json()["code"]) == (422, "before_first_event"), report


async def test_pages_of_what_served_name_each_rollout_once(service, auditor, log: Log):
    await promoted(log, 1, "1.0.0")
    await of_another_namespace(log)
    await indexed(service, auditor, log)
    seen, token = [], ""
    while True:
        page = await service.get("/v1/reports/serving", auditor, page_size=1, page_token=token)
        seen += [item["model"] for item in page["items"]]
        if not (token := page["next_page_token"]):
            break
    assert seen == ["fraud.churn", "sales.offers"]


async def test_everything_that_a_person_did_is_one_question(service, auditor, log: Log):
    await registered(log, 1, "1.0.0")
    await promoted(log, 1, "1.0.0")
    data = {"model": "fraud.churn", "number": 1, "alias": "best"}
    await log.append("registry", STREAM, "AliasSet", data, by="bea")
    await indexed(service, auditor, log)
    items = (await service.get("/v1/reports/acts/bea", auditor))["items"]
    assert [i["type"] for i in items] == ["AliasSet", "ReviewApproved"]
    assert {i["model"] for i in items} == {"fraud.churn"}
    assert (await service.get("/v1/reports/acts/service:approval", auditor))["items"] == []
    [publisher] = (await service.get("/v1/reports/acts/publisher-1", auditor))["items"]
    assert publisher["type"] == "VersionRegistered"


async def test_an_auditor_of_a_namespace_sees_nothing_of_others(service, auditor, log: Log, people):
    await promoted(log, 1, "1.0.0")
    await of_another_namespace(log)
    await indexed(service, auditor, log)
    local = await people.person("lisa", ("auditor", "sales"))
    await until_known(service, local)
    promotions = (await service.get("/v1/reports/promotions", local))["items"]
    serving = (await service.get("/v1/reports/serving", local))["items"]
    acts = (await service.get("/v1/reports/acts/ann", local))["items"]
    assert {i["model"] for i in promotions + serving} == {"sales.offers"}
    assert {i["model"] for i in acts if not i["hidden"]} == {"sales.offers"}
    assert all(i["data"] is None and i["model_id"] is None for i in acts if i["hidden"])
    for path in ("rights", "policies"):
        assert (await service.call("GET", f"/v1/reports/{path}", local)).status_code == 403
    stranger = await people.person("sven", ("viewer", "sales"))
    await until_known(service, stranger)
    assert (await service.call("GET", "/v1/reports/promotions", stranger)).status_code == 403


async def test_who_held_which_role_and_key_on_a_day(service, auditor, log: Log, people):
    before = datetime.now(UTC).isoformat()
    await people.append(
        "x",
        IdentityCreated("x", "person"),
        RoleGranted("x", "approver", "fraud"),
        KeyIssued("x", "k1", "hmac-sha256", "verifier"),
    )
    held = datetime.now(UTC).isoformat()
    await people.append("x", RoleRevoked("x", "approver", "fraud"), KeyRevoked("x", "k1", "left"))
    await indexed(service, auditor, log)

    async def of_x(**query: Any) -> list[dict[str, Any]]:
        items = (await service.get("/v1/reports/rights", auditor, **query))["items"]
        return [i for i in items if i["subject"] == "x"]

    [then] = await of_x(at=held, role="approver", namespace="fraud.cards")
    assert [(r["role"], r["namespace"], r["granted"]["by"]["subject"]) for r in then["roles"]] == [
        ("approver", "fraud", "system:bootstrap")
    ]
    assert [k["key_id"] for k in then["keys"]] == ["k1"]
    [now] = await of_x()
    assert (now["roles"], now["keys"]) == ([], [])
    assert await of_x(at=held, role="approver", namespace="sales") == []
    await people.append("y", IdentityCreated("y", "person"), RoleGranted("y", "admin", "*"))
    await people.append("y", IdentityDisabled("y"))
    await indexed(service, auditor, log)
    shown = (await service.get("/v1/reports/rights", auditor))["items"]
    [gone] = [i for i in shown if i["subject"] == "y"]
    assert (gone["disabled"]["by"]["subject"], gone["keys"]) == ("system:bootstrap", [])
    admins = (await service.get("/v1/reports/rights", auditor, role="admin"))["items"]
    assert "y" not in {i["subject"] for i in admins}
    assert await of_x(role="approver") == []
    assert await of_x(at=before) == []
    own = (await service.get("/v1/reports/rights", auditor, subject="x", at=held))["items"]
    assert own == [then | {"roles": own[0]["roles"]}]
    assert [r["role"] for r in own[0]["roles"]] == ["approver"]


async def test_who_had_a_role_through_a_group_of_an_issuer_on_a_day(service, auditor, log: Log, people):
    settings: Any = ("regista", "regista-cli", ("openid",), ("RS256",), "groups", "root")
    await people.append(
        "issuer:k",
        IssuerTrusted("issuer:k", "https://sso.acme.example", *settings),
        GroupMapped("issuer:k", "board", "approver", "fraud", "root"),
    )
    seen = SignedIn("u-1", "k", "account", ("board",), ("root",), EPOCH)
    await people.append("u-1", IdentityCreated("u-1", "person"), seen)
    held = datetime.now(UTC).isoformat()
    await people.append("issuer:k", GroupUnmapped("issuer:k", "board", "approver", "fraud", "root"))
    await indexed(service, auditor, log)

    async def who(**query: Any) -> list[tuple[str, list[str]]]:
        items = (await service.get("/v1/reports/rights", auditor, role="approver", **query))["items"]
        return [(i["subject"], [r["group"] for r in i["roles"]]) for i in items if i["subject"] == "u-1"]

    assert await who(at=held, namespace="fraud.cards") == [("u-1", ["board"])]
    assert await who(at=held, namespace="sales") == []
    assert await who() == []
    (issuer,) = (await service.get("/v1/reports/issuers", auditor, at=held))["items"]
    assert (issuer["key"], issuer["issuer"], issuer["ended"]) == ("k", "https://sso.acme.example", None)
    assert [(one["group"], one["role"]) for one in issuer["groups"]] == [("board", "approver")]
    assert (await service.get("/v1/reports/issuers", auditor))["items"][0]["groups"] == []


async def test_who_could_act_in_a_role_includes_admins(service, auditor, log: Log, people):
    await people.append("z", IdentityCreated("z", "person"), RoleGranted("z", "admin", "fraud"))
    await indexed(service, auditor, log)

    async def who(role: str) -> set[str]:
        return {i["subject"] for i in (await service.get("/v1/reports/rights", auditor, role=role))["items"]}

    assert "z" in await who("approver")
    assert "z" not in await who("override")


async def test_which_policy_ruled_then_with_its_text(service, auditor, log: Log):
    await log.append("approval", "policies-all", "PolicyListed", {"name": "default"})
    await published(log)
    await promoted(log, 1, "1.0.0")
    then = next(log.minutes)
    later = {"name": "default", "digest": "sha256:later", "policy": {"stages": {}}}
    await log.append("approval", "policy-default", "PolicyPublished", later, by="root", reason="weaker")
    await indexed(service, auditor, log)
    [ruled] = (await service.get("/v1/reports/policies", auditor, at=moment(then)))["items"]
    [now] = (await service.get("/v1/reports/policies", auditor))["items"]
    [behind] = (await service.get("/v1/reports/policies", auditor, model="fraud.churn"))["items"]
    assert (ruled["revision"], ruled["digest"]) == (1, RULES["digest"])
    assert ruled["policy"]["stages"]["Production"][1]["params"] == {"approvers": 2}
    assert (now["revision"], now["published_by"]["subject"], now["reason"]) == (2, "root", "weaker")
    assert (behind["name"], behind["digest"]) == ("default", RULES["digest"])
    unknown = await service.call("GET", "/v1/reports/policies?name=none", auditor)
    assert unknown.status_code == 404


async def test_a_timeline_can_be_read_from_its_newest_event_without_notes(service, auditor, log: Log):
    await registered(log, 1, "1.0.0")
    note = {"data": {"model_id": MODEL, "number": 1}}
    await log.append("approval", f"gate-{MODEL}@1", "Noted", note, by="service:registry")
    await registered(log, 2, "1.1.0")
    await indexed(service, auditor, log)

    async def types(**query: Any) -> list[str]:
        items = (await service.get("/v1/timeline/fraud.churn", auditor, **query))["items"]
        return [f"{i['type']} {i['number']}" for i in items]

    assert await types(newest="true", notes="false") == ["VersionRegistered 2", "VersionRegistered 1"]
    assert await types() == ["VersionRegistered 1", "Noted 1", "VersionRegistered 2"]
    assert await types(until=moment(2)) == ["VersionRegistered 1", "Noted 1"]
    assert await types(since=moment(3)) == ["VersionRegistered 2"]
    page = await service.get("/v1/timeline/fraud.churn", auditor, newest="true", page_size=1)
    rest = await service.get(
        "/v1/timeline/fraud.churn", auditor, newest="true", page_token=page["next_page_token"]
    )
    assert [i["number"] for i in page["items"] + rest["items"]] == [2, 1, 1]


async def test_a_day_is_a_moment_for_as_of_too(service, auditor, log: Log):
    await registered(log, 1, "1.0.0")
    await promoted(log, 1, "1.0.0")
    await indexed(service, auditor, log)
    on_that_day = await service.get("/v1/as-of", auditor, model="fraud.churn", at="2026-03-01")
    before = await service.call("GET", "/v1/as-of?model=fraud.churn&at=2026-02-28", auditor)
    assert [e["number"] for e in on_that_day["entries"]] == [1]
    assert (before.status_code, before.json()["code"]) == (422, "before_first_event")


async def test_a_rebuilt_index_answers_the_same_reports(audit: Audit, audit_key: SigningKey, log: Log):
    from services.audit import index_writer  # noqa: PLC0415

    await promoted(log, 1, "1.0.0")
    await denied(log, 2)
    await audit.catch_up()
    before = await index_writer.digest(audit.connection)
    rows = await audit.connection.fetchval(
        "SELECT (SELECT count(*) FROM audit.decisions) + (SELECT count(*) FROM audit.acts)"
    )
    await index_writer.rebuild(audit.connection)
    assert await index_writer.digest(audit.connection) == before
    assert rows > 4
