"""The inbox over HTTP: what people may do, see and undo."""

from __future__ import annotations

import asyncio
from typing import get_args, get_origin

import pytest
from pydantic import BaseModel

from shared.deciding.access import RoleGranted
from shared.http.dispatch import Table
from shared.log.denied_attempts import DeniedAttempts

POLICY = {
    "stages": {
        "Validated": [
            {"kind": "metric_threshold", "params": {"metric": "accuracy", "min": 0.85}},
            {"kind": "artifact_verified"},
        ],
        "Production": [{"kind": "manual", "params": {"approvers": 1, "expires_in": "1s"}}],
    },
    "applies_to": {"namespaces": ["team"]},
}


async def call(desk, subject, method, path, body=None, **headers):
    async with desk.client(subject) as client:
        answer = await client.request(
            method, f"/v1{path}", json=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
    if answer.status_code == 200:
        check_documented_shape(desk, method, path, answer.json())
    return answer


def check_documented_shape(desk, method, path, answer):
    found, _ = Table(desk.process.routes).find(method, "/v1" + path.partition("?")[0])
    model = found.route.response
    model.model_validate(answer)
    assert set(answer) == set(model.model_fields), model
    for name, field in model.model_fields.items():
        (item,) = get_args(field.annotation) if get_origin(field.annotation) is list else (None,)
        if isinstance(item, type) and issubclass(item, BaseModel):
            assert all(set(one) == set(item.model_fields) for one in answer[name]), (name, item)


async def approve(desk, subject, revision, review="p1", **body):
    return await call(desk, subject, "POST", f"/reviews/{review}:approve", body, if_match=f'"{revision}"')


async def test_two_approvers_pass_what_its_creator_may_not(desk, people, request_promotion):
    await request_promotion()
    inbox = (await call(desk, "ann", "GET", "/reviews?state=open")).json()["items"]
    assert [(r["review_id"], r["needs"], r["excluded"]) for r in inbox] == [
        ("p1", 2, ["carl", "pipeline", "rosa"])
    ]
    own = await approve(desk, "carl", 1)
    assert (own.status_code, own.json()["code"]) == (409, "own_work")
    first = await approve(desk, "ann", 1, comment="fine", conditions=["watch drift"])
    assert (first.status_code, first.json()["state"], first.headers["etag"]) == (200, "open", '"2"')
    stale = await approve(desk, "bob", 1)
    assert (stale.status_code, stale.json()["revision"]) == (412, 2)
    second = await approve(desk, "bob", 2)
    assert (second.json()["state"], second.json()["approvers"]) == ("approved", ["ann", "bob"])
    entry = second.json()["entries"][0]
    assert (entry["kind"], entry["by"], entry["name"], entry["conditions"]) == (
        "ReviewApproved",
        "ann",
        "Ann",
        ["watch drift"],
    )
    promotion = (await call(desk, "eve", "GET", "/promotions/p1")).json()
    assert (promotion["state"], promotion["approvers"]) == ("granted", ["ann", "bob"])
    assert (await approve(desk, "ann", 3)).json()["code"] == "review_closed"


RECORDED = """
SELECT split_part(stream, '-', 3) AS who, data ->> 'code' AS code, data ->> 'model_id' AS model,
    data ->> 'count' AS count
FROM log.events_approval, LATERAL (SELECT convert_from(bytes, 'UTF8')::jsonb -> 'data' AS data) AS stored
WHERE type = 'AttemptsDenied' ORDER BY who, code
"""


async def test_attempts_to_approve_against_the_rules_are_recorded_with_their_model(
    desk, people, request_promotion
):
    denied_attempts = desk.app.denied_attempts = DeniedAttempts(desk.app.transactor.submit, "approval")
    await request_promotion()
    assert (await approve(desk, "carl", 1)).json()["code"] == "own_work"
    assert (await approve(desk, "carl", 1)).json()["code"] == "own_work"
    assert (await approve(desk, "eve", 1)).json()["code"] == "role_missing"
    assert (await approve(desk, "zoe", 1)).status_code == 404
    assert (await approve(desk, "ann", 9)).status_code == 412
    await denied_attempts.record(ending=True)
    rows = [tuple(row) for row in await desk.app.pool.fetch(RECORDED)]
    assert [(who, model, count) for who, code, model, count in rows] == [
        ("ann", "m", "1"),
        ("carl", "m", "1"),
        ("carl", "m", "1"),
        ("eve", "m", "1"),
        ("zoe", "m", "1"),
    ]
    assert [code for _, code, _, _ in rows[1:]] == ["own_work", "own_work", "role_missing", "role_missing"]


async def test_a_signature_keeps_the_name_of_its_moment(desk, people, request_promotion):
    await request_promotion()
    await approve(desk, "ann", 1)
    await desk.identities.name("ann", "Ann Corrected", 2)
    await desk.identities.name("bob", "Robert", 2)
    await approve(desk, "bob", 2)
    for person in ("ann", "bob"):
        await desk.identities.name(person, None, 3)
    entries = (await call(desk, "eve", "GET", "/reviews/p1")).json()["entries"]
    assert [(entry["by"], entry["name"]) for entry in entries] == [("ann", "Ann"), ("bob", "Robert")]


async def test_who_lacks_the_role_is_not_sent_for_a_name(desk, people, request_promotion):
    await request_promotion()
    await desk.identities.name("eve", None, 2)
    refused = await approve(desk, "eve", 1)
    assert (refused.status_code, refused.json()["code"]) == (403, "role_missing")


async def test_a_signature_needs_a_name(desk, people, request_promotion):
    """By a person's name approval also finds that carl, named in the metadata, made the version."""
    await request_promotion()
    await desk.identities.name("ann", None, 2)
    refused = await approve(desk, "ann", 1)
    assert (refused.status_code, refused.json()["code"]) == (409, "no_printed_name")
    await desk.identities.name("ann", "Ann", 3)
    assert (await approve(desk, "ann", 1)).status_code == 200


@pytest.mark.parametrize("names", [["CARL"], ["Carl", "Someone Else"]], ids=["called so", "called so before"])
async def test_an_approver_with_the_printed_name_of_a_contributor_does_not_count(
    desk, people, request_promotion, names
):
    await desk.person("u-7", ("approver", "team"))
    for revision, name in enumerate(names, 2):
        await desk.identities.name("u-7", name, revision)
    await request_promotion()
    refused = await approve(desk, "u-7", 1)
    assert (refused.status_code, refused.json()["code"]) == (409, "own_work")


async def test_a_rejection_and_an_override_need_no_name(desk, people, request_promotion):
    await request_promotion()
    for person in ("ann", "oscar"):
        await desk.identities.name(person, None, 2)
    rejected = await call(desk, "ann", "POST", "/reviews/p1:reject", {"reason": "no"})
    assert [(e["kind"], e["name"]) for e in rejected.json()["entries"]] == [("ReviewRejected", "ann")]
    assert (
        await call(desk, "oscar", "POST", "/promotions/p1:override", {"reason": "outage"})
    ).status_code == 200
    entries = (await call(desk, "eve", "GET", "/reviews/p1")).json()["entries"]
    assert (entries[-1]["kind"], entries[-1]["name"]) == ("OverrideUsed", "oscar")
    looked = await call(
        desk, "ann", "POST", "/reviews/p1:review-override", {"justified": True, "comment": ""}
    )
    assert looked.json()["code"] == "no_printed_name"


@pytest.mark.parametrize(
    ("subject", "headers", "status", "code"),
    [
        ("ann", {}, 428, "if_match_required"),
        ("ann", {"if-match": "*"}, 428, "if_match_required"),
        ("eve", {"if-match": '"1"'}, 403, "role_missing"),
        ("zoe", {"if-match": '"1"'}, 404, "unknown_review"),
    ],
)
async def test_an_approval_needs_the_role_and_the_revision_that_was_seen(
    desk, people, request_promotion, subject, headers, status, code
):
    await request_promotion()
    answer = await call(desk, subject, "POST", "/reviews/p1:approve", {}, **headers)
    assert (answer.status_code, answer.json()["code"].replace("-", "_")) == (status, code)


async def test_the_same_request_again_is_answered_and_counted_once(desk, people, request_promotion):
    await request_promotion()
    for _ in range(2):
        answer = await call(
            desk, "ann", "POST", "/reviews/p1:approve", {}, if_match='"1"', idempotency_key="once"
        )
        assert (answer.status_code, answer.json()["approvers"]) == (200, ["ann"])


async def test_one_rejection_denies_with_its_reason(desk, people, request_promotion):
    await request_promotion()
    assert (await call(desk, "bob", "POST", "/reviews/p1:reject", {"reason": ""})).status_code == 422
    assert (await call(desk, "bob", "POST", "/reviews/p1:reject", {"reason": "too risky"})).json()[
        "state"
    ] == "rejected"
    assert (await call(desk, "bob", "GET", "/promotions/p1")).json()["reasons"] == [
        "rejected by bob: too risky"
    ]


async def test_the_inbox_shows_only_what_the_caller_may_read(desk, people, request_promotion):
    await request_promotion()
    assert (await call(desk, "zoe", "GET", "/reviews")).json()["items"] == []
    assert (await call(desk, "zoe", "GET", "/reviews/p1")).status_code == 404
    assert len((await call(desk, "root", "GET", "/reviews?model=team.churn")).json()["items"]) == 1


async def test_the_inbox_is_read_in_pages(desk, people, request_promotion):
    await request_promotion(1, "p1")
    await request_promotion(2, "p2")
    seen, token = [], ""
    while token or not seen:
        page = (await call(desk, "ann", "GET", f"/reviews?page_size=1&page_token={token}")).json()
        seen += [r["review_id"] for r in page["items"]]
        token = page["next_page_token"]
    assert seen == ["p1", "p2"]


async def test_a_published_policy_applies_immediately_and_open_gates_are_assessed_again(
    desk, people, version, until
):
    await desk.registry(
        "ModelRegistered",
        {"model_id": "m", "model": "team.churn", "kind": "model", "tier": "medium", "tags": {}},
    )
    await desk.registry("VersionRegistered", version(1, 0.8))
    await desk.artifact("ArtifactReleased")
    assert (await call(desk, "eve", "PUT", "/policies/team", POLICY)).status_code == 403
    put = await call(desk, "root", "PUT", "/policies/team", POLICY)
    assert (put.status_code, put.headers["etag"]) == (200, '"1"')

    async def blocked():
        gates = (await call(desk, "eve", "GET", "/models/team.churn/versions/1/gates")).json()["gates"]
        return gates[0] if gates[0]["policy"]["name"] == "team" else None

    gate = await until(blocked)
    assert gate["passed"] is False
    assert gate["results"][0]["detail"] == "accuracy 0.8 on holdout; must be at least 0.85"
    assert await until(
        lambda: desk.app.pool.fetchval("SELECT count(*) = 0 FROM due WHERE kind = 'policy-change'")
    )


async def test_a_policy_with_a_name_that_is_none_is_refused(desk, people):
    refused = await call(desk, "root", "PUT", "/policies/gr%C3%B6%C3%9Fe", POLICY)
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_name")


async def test_policies_have_revisions_and_an_etag(desk, people):
    await call(desk, "root", "PUT", "/policies/team", POLICY)
    again = await call(desk, "root", "PUT", "/policies/team", POLICY)
    assert again.headers["etag"] == '"1"'
    bad = {
        **POLICY,
        "stages": {"Validated": [{"kind": "metric_threshold", "params": {"metric": "f1", "least": 1}}]},
    }
    refused = await call(desk, "root", "PUT", "/policies/team", bad)
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_policy")
    changed = await call(
        desk, "root", "PUT", "/policies/team", {**POLICY, "description": "new"}, if_match='"1"'
    )
    assert changed.json()["policy"]["description"] == "new"
    late = await call(desk, "root", "PUT", "/policies/team", POLICY, if_match='"1"')
    assert late.status_code == 412
    first = await call(desk, "ann", "GET", "/policies/team?revision=1")
    assert first.json()["policy"]["description"] == ""
    listed = (await call(desk, "ann", "GET", "/policies")).json()["items"]
    assert [p["name"] for p in listed] == ["default", "low-risk", "non-production", "team"]


async def test_an_existing_policy_is_changed_only_by_a_caller_who_has_read_it(desk, people):
    other = {**POLICY, "description": "mine"}
    assert (await call(desk, "root", "PUT", "/policies/team", POLICY)).status_code == 200
    unseen = await call(desk, "root", "PUT", "/policies/team", other)
    assert (unseen.status_code, unseen.json()["code"]) == (428, "if_match_required")
    assert (await call(desk, "root", "PUT", "/policies/team", other, if_match="*")).json()["policy"][
        "description"
    ] == "mine"


async def test_a_review_without_a_decision_expires_by_itself(desk, people, request_promotion, until):
    await call(desk, "root", "PUT", "/policies/team", POLICY)
    await request_promotion()

    async def expired():
        return (await call(desk, "ann", "GET", "/reviews/p1")).json()["state"] == "expired"

    await until(expired)
    assert (await call(desk, "ann", "GET", "/promotions/p1")).json()["state"] == "refused"
    assert await desk.app.pool.fetchval("SELECT count(*) FROM due WHERE kind = 'review-expiry'") == 0


async def test_an_override_grants_and_needs_an_after_review(desk, people, request_promotion):
    await request_promotion()
    assert (
        await call(desk, "root", "POST", "/promotions/p1:override", {"reason": "down"})
    ).status_code == 403
    used = await call(desk, "oscar", "POST", "/promotions/p1:override", {"reason": "down"})
    assert (used.status_code, used.json()["state"], used.json()["override"]) == (200, "granted", True)
    assert [
        r["review_id"] for r in (await call(desk, "ann", "GET", "/reviews?state=overridden")).json()["items"]
    ] == ["p1"]
    await desk.identities.write("oscar", RoleGranted("oscar", "approver", "team"))
    await desk.app.access.catch_up()
    owed = (await call(desk, "oscar", "GET", "/reviews?state=overridden")).json()["items"]
    assert [one["why_not"] for one in owed] == ["overrode, made or requested this promotion"]
    done = await call(
        desk, "ann", "POST", "/reviews/p1:review-override", {"justified": True, "comment": "it was"}
    )
    assert done.json()["state"] == "closed"
    found = [(e["kind"], e["justified"]) for e in done.json()["entries"]]
    assert found == [("OverrideUsed", None), ("OverrideReviewed", True)]


async def test_an_after_review_without_justification_ends_an_override_that_still_stands(
    desk, people, request_promotion
):
    await request_promotion()
    await call(desk, "bob", "POST", "/reviews/p1:reject", {"reason": "too risky"})
    used = (await call(desk, "oscar", "POST", "/promotions/p1:override", {"reason": "down"})).json()
    assert (used["state"], used["override"]) == ("refused", True)
    done = await call(
        desk, "ann", "POST", "/reviews/p1:review-override", {"justified": False, "comment": "it was not"}
    )
    assert (done.status_code, done.json()["state"]) == (200, "closed")
    assert (await call(desk, "ann", "GET", "/promotions/p1")).json()["override"] is False
    request = {
        "model_id": "m",
        "model": "team.churn",
        "number": 1,
        "semver": "1.1.0",
        "promotion_id": "p2",
        "environment": "production",
    }
    who = {
        "digest": "sha256:requested",
        "requester": "rosa",
        "creator": "carl",
        "on_behalf_of": None,
        "evidence": {},
    }
    await desk.registry("PromotionRequested", request | who)
    assert (await call(desk, "ann", "GET", "/promotions/p2")).json()["state"] == "open"


async def test_gates_are_assessed_again_on_request_and_store_no_equal_verdict(desk, people, version):
    await desk.registry(
        "ModelRegistered",
        {"model_id": "m", "model": "team.churn", "kind": "model", "tier": "medium", "tags": {}},
    )
    await desk.registry("VersionRegistered", version())
    waiting = (await call(desk, "eve", "GET", "/models/m/versions/1/gates")).json()
    assert (waiting["waits_for"], waiting["gates"]) == (["artifact"], [])
    await desk.artifact("ArtifactReleased")
    before = await desk.app.pool.fetchval("SELECT count(*) FROM log.events_approval")
    answer = await call(desk, "eve", "POST", "/models/m/versions/1/gates:evaluate")
    assert (answer.status_code, answer.json()["gates"][0]["passed"]) == (200, True)
    assert await desk.app.pool.fetchval("SELECT count(*) FROM log.events_approval") == before


@pytest.mark.parametrize(("withdrawn", "stage"), [(False, "Production"), (True, "Archived")])
async def test_an_archived_version_that_a_rollback_brought_back_is_in_production_unless_it_was_withdrawn(
    desk, people, request_promotion, version, withdrawn, stage
):
    await request_promotion()
    facts = {"model_id": "m", "model": "team.churn", "number": 1}
    for event in ("VersionPromoted", *(["VersionRecalled"] if withdrawn else []), "VersionArchived"):
        await desk.registry(event, facts)
    path = "/models/team.churn/versions/1/gates"
    found = (await call(desk, "eve", "GET", path)).json()
    assert (found["stage"], found["withdrawn"], found["retired"]) == ("Archived", withdrawn, False)
    back = {"number": 1, "semver": "1.1.0", "evaluations": version()["training"]["metrics"]}
    await desk.registry(
        "RolledBack",
        {"model_id": "m", "environment": "production", "champion": back, "from_number": 2, "to_number": 1},
    )
    assert (await call(desk, "eve", "GET", path)).json()["stage"] == stage


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/reviews/none", 404),
        ("/promotions/none", 404),
        ("/policies/none", 404),
        ("/models/none/versions/1/gates", 404),
        ("/models/m/versions/x/gates", 422),
    ],
)
async def test_an_unknown_path_is_answered_with_a_problem(desk, people, request_promotion, path, status):
    await request_promotion()
    answer = await call(desk, "root", "GET", path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_version_without_gates_may_be_a_draft(desk, people, request_promotion):
    await request_promotion()
    answer = await call(desk, "root", "GET", "/models/team.churn/versions/9/gates")
    assert (answer.status_code, "a draft has no gates" in answer.json()["detail"]) == (404, True)


async def test_a_comment_is_kept_without_deciding(desk, people, request_promotion):
    await request_promotion()
    answer = await call(desk, "eve", "POST", "/reviews/p1:comment", {"comment": "which holdout?"})
    assert (answer.json()["state"], answer.json()["entries"][0]["text"]) == ("open", "which holdout?")


async def approve_what_is_shown(desk, who):
    """Read the review and approve it; repeat both when another approver was faster."""
    answer = None
    while answer is None or answer.status_code == 412:
        shown = await call(desk, who, "GET", "/reviews/p1")
        answer = await call(desk, who, "POST", "/reviews/p1:approve", {}, if_match=shown.headers["etag"])
    return answer


async def test_approvals_at_the_same_moment_on_two_replicas_are_each_counted_and_granted_once(
    open_desk, desk, people, request_promotion
):
    await request_promotion()
    other = await open_desk()
    other.keys = desk.keys
    await other.app.access.catch_up()
    answers = await asyncio.gather(
        *(
            approve_what_is_shown(d, who)
            for d, who in ((desk, "ann"), (other, "bob"), (other, "ann"), (desk, "bob"))
        )
    )
    assert {a.status_code for a in answers} <= {200, 409}, [a.text for a in answers]
    stored = await desk.app.pool.fetch(
        "SELECT type FROM log.events_approval WHERE type IN ('ReviewApproved', 'PromotionGranted')"
    )
    assert sorted(r["type"] for r in stored) == ["PromotionGranted", "ReviewApproved", "ReviewApproved"]
    review = (await call(other, "ann", "GET", "/reviews/p1")).json()
    assert (review["state"], sorted(review["approvers"])) == ("approved", ["ann", "bob"])


async def test_reviews_and_gates_answer_under_every_name_of_a_renamed_model(desk, people, request_promotion):
    await request_promotion()
    await desk.registry("ModelRenamed", {"model_id": "m", "model": "team.leave", "previous": "team.churn"})
    for name in ("team.churn", "team.leave", "m"):
        found = (await call(desk, "ann", "GET", f"/reviews?state=open&model={name}")).json()["items"]
        assert [(r["review_id"], r["model"]) for r in found] == [("p1", "team.leave")]
        gates = await call(desk, "ann", "GET", f"/models/{name}/versions/1/gates")
        assert (gates.status_code, gates.json()["model"]) == (200, "team.leave")
    assert (await call(desk, "ann", "GET", "/reviews/p1")).json()["model"] == "team.leave"
    assert (await call(desk, "ann", "GET", "/reviews?model=team.other")).json()["items"] == []


async def test_a_grant_is_pending_until_the_registry_carried_it_out(desk, people, request_promotion):
    await request_promotion()
    await approve(desk, "ann", 1)
    await approve(desk, "bob", 2)

    async def state() -> str:
        return (await call(desk, "eve", "GET", "/promotions/p1")).json()["state"]

    assert await state() == "granted"
    about = {"model_id": "m", "number": 1, "promotion_id": "p1", "environment": "production"}
    await desk.registry("VersionPromoted", about)
    assert await state() == "promoted"
    await desk.registry("PromotionSpent", about | {"champion": 2})
    assert await state() == "spent"
