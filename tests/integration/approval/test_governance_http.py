"""Who may decide and what a policy changes, over HTTP."""

from __future__ import annotations

import pytest

from shared.deciding.access import KeyIssued, RoleGranted
from shared.deciding.links import IdentityLinked, subject_of_login
from tests.integration.approval.test_reviews_http import approve, call

OPEN = {"stages": {"Production": []}, "unreviewed": True, "unreviewed_reason": "toys", "priority": 9}


def manual(approvers, **more):
    gate = {"kind": "manual", "params": {"approvers": approvers, "expires_in": "7d"}}
    return {"stages": {"Production": [gate]}, "applies_to": {"namespaces": ["team"]}, **more}


async def put(desk, subject, name, policy, revision=None):
    headers = {} if revision is None else {"if_match": f'"{revision}"'}
    return await call(desk, subject, "PUT", f"/policies/{name}", policy, **headers)


async def test_gates_for_production_without_people_say_so_and_why(desk, people):
    refused = await put(desk, "root", "open", {"stages": {"Production": []}})
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_policy")
    assert "unreviewed" in refused.json()["detail"]


async def test_a_preview_shows_models_reviews_and_quorum_before_and_after(desk, people, request_promotion):
    await request_promotion()
    answer = await call(desk, "root", "POST", "/policies/one:preview", manual(1))
    change = answer.json()
    assert answer.status_code == 200
    assert change["models"] == [
        {
            "model": "team.churn",
            "stage": "Production",
            "policy_before": "default",
            "policy_after": "one",
            "approvers_before": 2,
            "approvers_after": 1,
        }
    ]
    assert change["reviews"] == [
        {
            "review_id": "p1",
            "model": "team.churn",
            "number": 1,
            "needs_before": 2,
            "needs_after": 1,
            "then": "lapses",
        }
    ]
    assert "1 of the 2 approvers are enough" in change["weaker"][0]
    assert not change["second_admin"]
    assert (await call(desk, "ann", "POST", "/policies/one:preview", manual(1))).status_code == 403
    assert (await call(desk, "root", "GET", "/policies/one")).status_code == 404


async def test_a_weaker_policy_waits_for_another_admin(desk, people, request_promotion, until):
    await desk.person("amy", ("admin", "*"))
    proposed = await put(desk, "root", "one", manual(1))
    assert (proposed.status_code, proposed.json()["revision"]) == (202, 0)
    proposal = proposed.json()["proposal"]
    assert (proposal["revision"], proposal["proposed_by"], proposal["policy"]["unreviewed"]) == (
        1,
        "root",
        False,
    )
    await request_promotion()
    assert (await call(desk, "ann", "GET", "/reviews/p1")).json()["needs"] == 2
    own = await call(desk, "root", "POST", "/policies/one:confirm", {"revision": 1})
    assert (own.status_code, own.json()["code"]) == (409, "own_work")
    listed = (await call(desk, "root", "GET", "/policies")).json()["items"]
    assert [p["proposal"] is not None for p in listed if p["name"] == "one"] == [True]
    confirmed = await call(desk, "amy", "POST", "/policies/one:confirm", {"revision": 1})
    assert (confirmed.status_code, confirmed.json()["proposal"]) == (200, None)
    assert confirmed.json()["revision"] == 2

    async def lapsed():
        review = (await call(desk, "ann", "GET", "/reviews/p1")).json()
        return review["state"] == "lapsed" and review["entries"][-1]["text"]

    assert "requires 1 of approver, before 2 of approver" in await until(lapsed)


async def test_an_admin_who_was_granted_a_moment_ago_is_a_second_admin(desk, people):
    """The granted role is in the log; this process has not read it yet."""
    await desk.identities.person("amy", ("admin", "*"))
    assert (await put(desk, "root", "one", manual(1))).status_code == 202


async def test_a_second_identity_of_the_same_admin_is_no_second_admin(desk, people):
    await desk.person("root2", ("admin", "*"))
    await desk.identities.name("root2", "ROOT", 2)
    published = await put(desk, "root", "one", manual(1))
    assert (published.status_code, published.json()["revision"]) == (200, 1)


async def test_a_policy_in_other_words_keeps_the_review_and_its_approvals(
    desk, people, request_promotion, until
):
    await put(desk, "root", "two", manual(2))
    await request_promotion()
    await approve(desk, "ann", 1)
    await put(desk, "root", "two", manual(2, description="in other words"), 1)

    async def shown():
        review = (await call(desk, "ann", "GET", "/reviews/p1")).json()
        return review if review["policy"]["revision"] > 1 else None

    review = await until(shown)
    assert (review["state"], review["approvers"]) == ("open", ["ann"])
    assert "applies now" in review["entries"][-1]["text"]
    done = await approve(desk, "bob", review["revision"])
    assert (done.json()["state"], done.json()["approvers"]) == ("approved", ["ann", "bob"])


async def test_a_machine_with_the_role_does_not_approve(desk, people, request_promotion):
    await desk.machine("robot", ("approver", "team"))
    await request_promotion()
    refused = await approve(desk, "robot", 1)
    assert (refused.status_code, refused.json()["code"]) == (409, "person_needed")


@pytest.mark.parametrize(
    "event",
    [
        RoleGranted("ann", "approver", "other", by="rosa"),
        KeyIssued("ann", "k9", "hmac-sha256", "0" * 64, None, "carl"),
    ],
)
async def test_whom_the_requester_or_a_maker_appointed_does_not_count_and_the_review_states_so(
    desk, people, request_promotion, event
):
    await desk.identities.write("ann", event)
    await desk.app.access.catch_up()
    await request_promotion()
    deciders = (await call(desk, "bob", "GET", "/reviews/p1")).json()["summary"]["deciders"]
    why = {d["subject"]: d["why_not"] for d in deciders}
    assert event.by in why["ann"]
    assert (why["bob"], why["carl"]) == ("", "made this version or requested its promotion")
    refused = await approve(desk, "ann", 1)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_independent")


async def test_one_person_with_two_identities_approves_once(desk, people, request_promotion):
    await desk.identities.name("bob", "Ann\u200b", 2)
    await request_promotion()
    await approve(desk, "ann", 1)
    refused = await approve(desk, "bob", 2)
    assert (refused.status_code, refused.json()["code"]) == (409, "same_person")


async def link(desk, one, other, *, login=False):
    """Written to the log by the registry; approval may not have read it when the next request comes."""
    far = subject_of_login(other) if login else other
    await desk.identities.write(one, IdentityLinked(one, other, "root", login=login))
    await desk.identities.write(far, IdentityLinked(far, one, "root"))


async def test_linked_identities_approve_once_and_never_what_one_of_them_made(
    desk, people, request_promotion
):
    await desk.person("u-7", ("approver", "team"))
    await desk.person("u-8", ("approver", "team"))
    await desk.person("u-9", ("approver", "team"))
    await request_promotion(on_behalf_of="bea")
    await link(desk, "u-7", "carl")
    await link(desk, "u-9", "Bea", login=True)
    for maker in ("u-7", "u-9"):
        refused = await approve(desk, maker, 1)
        assert (refused.status_code, refused.json()["code"]) == (409, "own_work"), maker
    assert (await approve(desk, "ann", 1)).status_code == 200
    await link(desk, "u-8", "octocat", login=True)
    await link(desk, "ann", "OctoCat", login=True)
    refused = await approve(desk, "u-8", 2)
    assert (refused.status_code, refused.json()["code"]) == (409, "same_person")
    deciders = (await call(desk, "bob", "GET", "/reviews/p1")).json()["summary"]["deciders"]
    why = {d["subject"]: d["why_not"] for d in deciders}
    did = "made this version or requested its promotion"
    assert why["u-7"] == f"has the name of carl, or is linked with carl, who {did}"
    assert "is linked with ann" in why["u-8"]


async def test_an_erased_name_still_keeps_its_owner_from_approving(desk, people, request_promotion):
    await desk.person("u-7", ("approver", "team"))
    await desk.identities.name("u-7", "Carl", 2)
    await desk.identities.name("u-7", None, 3)
    await desk.identities.name("u-7", "New Name", 4)
    await request_promotion()
    refused = await approve(desk, "u-7", 1)
    assert (refused.status_code, refused.json()["code"]) == (409, "own_work")
    stored = await desk.app.pool.fetchrow(
        "SELECT name, former, erased FROM directory.names WHERE subject = 'u-7'"
    )
    assert (stored["name"], list(stored["former"]), len(stored["erased"])) == ("New Name", [], 2)


async def test_a_review_shows_who_requires_why_what_changed_and_who_may_decide(
    desk, people, version, request_promotion
):
    await desk.registry("VersionRegistered", version(7, accuracy=0.95, training={"config": {"depth": 2}}))
    champion = {
        "number": 7,
        "semver": "1.7.0",
        "signature": {"inputs": [{"name": "z", "type": "int64"}], "outputs": []},
        "evaluations": [{"name": "accuracy", "value": 0.8, "dataset_digest": "other", "primary": True}],
    }
    await request_promotion(bump={"level": "major"}, reason="better in March")
    await desk.registry(
        "RolloutChanged", {"model_id": "m", "environment": "production", "champion": champion}
    )
    review = (await call(desk, "ann", "GET", "/reviews/p1")).json()
    shown = review["summary"]
    assert (shown["requested"]["by"], shown["requested"]["reason"]) == ("rosa", "better in March")
    assert (shown["creator"], shown["champion"]) == ("carl", {"number": 7, "semver": "1.7.0"})
    assert {"name": "depth", "champion": 2, "candidate": 3, "note": ""} in shown["changes"]["config"]
    assert [line["name"] for line in shown["changes"]["data"]] == ["name", "digest"]
    assert "not comparable" in shown["changes"]["metrics"][0]["note"]
    assert {line["name"] for line in shown["changes"]["schema"]} == {"input z", "input x", "output y"}
    assert shown["callers"]["bump"] == "major"
    assert shown["callers"]["breaks"]
    assert (shown["policy"]["name"], shown["policy"]["approvers"]) == ("default", 2)
    assert shown["accept"] == ["no_regression", "schema_compatible"]
    assert shown["sealed"]["artifact"] == "sha256:artifact1"
    assert [d["subject"] for d in shown["deciders"] if d["may_decide"]] == ["ann", "bob", "root"]
    refused = await approve(desk, "ann", review["revision"])
    assert (refused.status_code, refused.json()["code"]) == (409, "not_accepted")
    accepted = await approve(desk, "ann", review["revision"], accepts=shown["accept"])
    assert accepted.status_code == 200


async def test_a_missing_after_review_stands_in_everybodys_inbox(desk, people, request_promotion):
    await request_promotion()
    await call(desk, "oscar", "POST", "/promotions/p1:override", {"reason": "outage"})
    inbox = (await call(desk, "ann", "GET", "/reviews?state=pending")).json()["items"]
    assert [(r["review_id"], r["state"], r["due_at"] is not None) for r in inbox] == [
        ("p1", "overridden", True)
    ]
    looked = await call(
        desk, "ann", "POST", "/reviews/p1:review-override", {"justified": False, "comment": "no outage"}
    )
    assert looked.json()["state"] == "closed"
    assert (await call(desk, "ann", "GET", "/reviews?state=pending")).json()["items"] == []


async def test_an_overdue_after_review_is_reported(desk, people, request_promotion, until):
    await put(desk, "root", "quick", manual(2, break_glass={"after_review_in": "1s"}))
    await request_promotion()
    await call(desk, "oscar", "POST", "/promotions/p1:override", {"reason": "outage"})

    async def overdue():
        return (await call(desk, "ann", "GET", "/reviews/p1")).json()["overdue_since"]

    assert await until(overdue)


async def test_who_made_a_version_overrides_only_where_the_policy_states_so(desk, people, request_promotion):
    await desk.person("u-9", ("override", "team"))
    await desk.identities.name("u-9", "carl", 2)
    await request_promotion()
    refused = await call(desk, "u-9", "POST", "/promotions/p1:override", {"reason": "outage"})
    assert (refused.status_code, refused.json()["code"]) == (409, "own_work")


async def test_conditions_of_all_approvals_go_with_the_promotion(desk, people, request_promotion):
    await request_promotion()
    await approve(desk, "ann", 1, conditions=["shadow for a week"])
    await approve(desk, "bob", 2, conditions=["watch drift", "shadow for a week"])
    promotion = (await call(desk, "eve", "GET", "/promotions/p1")).json()
    assert promotion["conditions"] == ["shadow for a week", "watch drift"]


async def test_a_policy_for_an_environment_that_is_not_declared_is_refused_with_those_that_are(desk, people):
    for name in ("production", "live-eu"):
        data = {"namespace": "", "name": name, "production": True, "order": 1, "description": ""}
        message = desk.message("registry", "EnvironmentCreated", "environments-all", data)
        await desk.receive(message)
    selecting = manual(1) | {"applies_to": {"namespaces": ["team"], "environments": ["live-ue"]}}
    for method, path in (("PUT", "/policies/eu"), ("POST", "/policies/eu:preview")):
        refused = await call(desk, "root", method, path, selecting)
        assert (refused.status_code, refused.json()["code"]) == (404, "unknown_environment")
        assert refused.json()["environments"] == ["live-eu", "production"]
    selecting["applies_to"]["environments"] = ["live-eu"]
    assert (await put(desk, "root", "eu", selecting)).status_code in {200, 202}
