"""cleanup on real servers: from the registry's events and reports of use to a proposal."""

from __future__ import annotations

import asyncio
import random
import uuid
from typing import Any

import asyncpg
import pytest

from services.cleanup.service import SERVICE
from shared.foundation.postgres import connect_pool
from shared.log import projector
from tests.integration.cleanup.conftest import World
from tests.processes import Running

pytestmark = pytest.mark.servers

QUICK = {
    "unused": "1s",
    "left_production": "1s",
    "unknown": "1s",
    "keep_newest": 0,
    "grace": "1s",
}
WHATEVER = {"if-match": "*"}


async def known(cleanup: Running, key: str, model_id: str, versions: int) -> None:
    """Until cleanup has noted so many versions."""

    async def answers():
        answer = await cleanup.call("GET", f"/v1/retention/{model_id}", key)
        return answer.status_code == 200 and len(answer.json()["versions"]) == versions

    await cleanup.until(answers)


async def set_policy(cleanup: Running, key: str, model_id: str, **changes) -> dict:
    answer = await cleanup.call(
        "PUT", f"/v1/retention/{model_id}", key, json=QUICK | changes, headers=WHATEVER
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def drafts_may_go(world: World, cleanup: Running) -> None:
    """Give everything a default under which the versions of a test stay, each for a reason."""
    admin = await world.people.person("ada", ("admin", "*"))

    async def accepted() -> bool:
        path, policy = "/v1/retention-defaults/*", {"draft": "90d"}
        return (await cleanup.call("PUT", path, admin, json=policy, headers=WHATEVER)).status_code == 200

    await cleanup.until(accepted)


async def swept(cleanup: Running, key: str, **body) -> dict:
    """A sweep on demand, once it is finished."""
    answer = await cleanup.call("POST", "/v1/cleanup-runs", key, json=body)
    assert answer.status_code == 202, answer.text
    cleanup_run_id = answer.json()["cleanup_run_id"]

    async def finished():
        found = await cleanup.get(f"/v1/cleanup-runs/{cleanup_run_id}", key)
        return found if found["phase"] == "finished" else None

    return await cleanup.until(finished)


def verdicts(sweep: dict) -> dict[int, tuple[str, set[str]]]:
    return {
        item["number"]: (item["verdict"], {reason["code"] for reason in item["reasons"]})
        for item in sweep["items"]
    }


async def test_a_sweep_names_why_each_version_stays_and_proposes_the_rest_after_the_grace_period(
    world: World, cleanup: Running, engineer: str
):
    model_id = await world.model(5)
    await world.registry(model_id, "VersionPromoted", number=5, environment="production", promotion_id="p")
    entries = [{"number": 5, "semver": "1.0.5", "percent": 100, "role": "champion"}]
    await world.registry(
        model_id,
        "RolloutChanged",
        environment="production",
        entries=entries,
        previous=[{"number": 4, "percent": 100, "role": "champion"}],
    )
    await world.registry(model_id, "LegalHoldPlaced", number=3, reason="lawsuit")
    await known(cleanup, engineer, model_id, 5)
    await set_policy(cleanup, engineer, model_id, unused="3600s", unknown="0s")
    await world.used(world.usage("fraud.churn", 2, 3))

    async def counted():
        return (await cleanup.get(f"/v1/usage/{model_id}", engineer))["versions"]

    assert [(u["number"], u["total"]) for u in await cleanup.until(counted)] == [(2, 3)]

    async def held():
        plan = (await cleanup.call("POST", "/v1/cleanup-runs", engineer, json={"dry_run": True})).json()
        return "legal_hold" in str([item for item in plan["items"] if item["number"] == 3])

    await cleanup.until(held)
    sweep = await swept(cleanup, engineer)
    assert verdicts(sweep) == {
        1: ("marked", {"unknown_usage"}),
        2: ("spared", {"used_recently"}),
        3: ("spared", {"legal_hold"}),
        4: ("spared", {"rollback_target"}),
        5: ("spared", {"in_production", "in_rollout"}),
    }
    assert (sweep["models"], sweep["versions"], sweep["trigger"], sweep["actor"]) == (1, 5, "demand", "eve")
    proposed = await world.received(
        "regista.cleanup.RetirementProposed.v1", world.people.keys["service:cleanup"]
    )
    assert (proposed["model_id"], proposed["number"], proposed["rule"], proposed["sweep_id"]) == (
        model_id,
        1,
        "unknown_usage",
        sweep["cleanup_run_id"],
    )
    await world.registry(model_id, "VersionRetired", number=1, sweep_id=sweep["cleanup_run_id"])

    async def retired():
        return (
            verdicts(await cleanup.get(f"/v1/cleanup-runs/{sweep['cleanup_run_id']}", engineer))[1][0]
            == "retired"
        )

    await cleanup.until(retired)


async def test_a_version_used_during_its_grace_period_is_spared_and_never_proposed(
    world: World, cleanup: Running, engineer: str, database
):
    model_id = await world.model(2)
    await known(cleanup, engineer, model_id, 2)
    await set_policy(cleanup, engineer, model_id, unused="3600s", unknown="0s", grace="3s")
    sweep = await swept(cleanup, engineer, model="fraud.churn")
    assert {v[0] for v in verdicts(sweep).values()} == {"marked"}
    answer = await cleanup.call(
        "POST",
        "/v1/usage",
        engineer,
        json={
            "model": "fraud.churn",
            "number": 2,
            "count": 1,
            "window_start": "2026-01-01T00:00:00Z",
            "window_end": "2099-01-01T00:00:00Z",
        },
    )
    assert answer.status_code == 202, answer.text

    async def proposed():
        return verdicts(await cleanup.get(f"/v1/cleanup-runs/{sweep['cleanup_run_id']}", engineer))

    async def first_proposed():
        return (await proposed())[1][0] == "proposed"

    await cleanup.until(first_proposed)
    assert (await proposed())[2] == ("spared", {"used_recently"})
    connection = await asyncpg.connect(database.url("cleanup"))
    assert (
        await connection.fetchval("SELECT count(*) FROM log.events_cleanup WHERE type = 'RetirementProposed'")
        == 1
    )
    assert await connection.fetchval("SELECT count(*) FROM cleanup.due WHERE kind = 'propose'") == 0
    causes = (
        "SELECT type, event_id::text, convert_from(bytes, 'UTF8')::json->>'causation_id' AS cause "
        "FROM log.events_cleanup WHERE type = ANY($1) ORDER BY seq"
    )
    planned, marked, _other, proposal = await connection.fetch(
        causes, ["SweepPlanned", "VersionMarked", "RetirementProposed"]
    )
    assert (planned["type"], marked["cause"], proposal["cause"]) == (
        "SweepPlanned",
        planned["event_id"],
        marked["event_id"],
    )
    await connection.close()


@pytest.mark.slow
async def test_repeated_and_reordered_reports_count_once_with_two_replicas_and_a_kill(
    world: World, cleanup: Running, engineer: str, start, database
):
    second = start("cleanup", world.people.keys["service:cleanup"])
    await second.ready()
    model_id = await world.model(1)
    await known(cleanup, engineer, model_id, 1)
    reports = [world.usage("fraud.churn", 1, n, model_id=model_id) for n in range(1, 41)] * 3
    random.Random(1).shuffle(reports)
    for n, report in enumerate(reports):
        await world.used(report)
        if n == 60:
            second.kill()

    async def counted():
        return (
            sum(u["total"] for u in (await cleanup.get(f"/v1/usage/{model_id}", engineer))["versions"]) >= 820
        )

    await cleanup.until(counted, 60)
    await world.used(world.usage("fraud.churn", 1, 1000, model_id=model_id))

    async def last():
        return (await cleanup.get(f"/v1/usage/{model_id}", engineer))["versions"][0]["total"] >= 1820

    await cleanup.until(last, 60)
    usage = await cleanup.get(f"/v1/usage/{model_id}", engineer)
    assert usage["versions"][0]["total"] == 1820
    assert sum(day["total"] for day in usage["days"]) == 1820


async def test_a_simulation_gives_the_plan_and_leaves_no_event(
    world: World, cleanup: Running, engineer: str, database
):
    model_id = await world.model(3)
    await known(cleanup, engineer, model_id, 3)
    connection = await asyncpg.connect(database.url("cleanup"))
    before = await connection.fetchval("SELECT count(*) FROM log.events_cleanup")
    as_is = (await cleanup.call("POST", "/v1/cleanup-runs", engineer, json={"dry_run": True})).json()
    assert as_is["verdicts"] == {"marked": 0, "spared": 3}
    body = {"dry_run": True, "model": model_id, "policy": {"unknown": "0s", "keep_newest": 1}}
    other = (await cleanup.call("POST", "/v1/cleanup-runs", engineer, json=body)).json()
    assert verdicts(other) == {
        1: ("marked", {"unknown_usage"}),
        2: ("marked", {"unknown_usage"}),
        3: ("spared", {"among_newest"}),
    }
    assert await connection.fetchval("SELECT count(*) FROM log.events_cleanup") == before
    await connection.close()


async def test_a_default_of_a_namespace_rules_until_the_model_has_its_own_policy(
    world: World, cleanup: Running, engineer: str
):
    model_id = await world.model(2)
    await known(cleanup, engineer, model_id, 2)
    admin = await world.people.person("ada", ("admin", "fraud"))

    async def default(method: str, namespace: str = "fraud", **more: Any) -> Any:
        path = f"/v1/retention-defaults/{namespace}"
        return await cleanup.call(method, path, admin, headers=WHATEVER, **more)

    async def accepts_ada() -> bool:
        return (await default("PUT", json=QUICK)).status_code == 200

    assert (await swept(cleanup, engineer, model=model_id))["items"] == []
    assert (await cleanup.get(f"/v1/retention/{model_id}", engineer))["source"] == ""
    await cleanup.until(accepts_ada)
    shown = await cleanup.get(f"/v1/retention/{model_id}", engineer)
    assert (shown["source"], shown["policy"]["unknown"], shown["revision"]) == ("fraud", "1s", 0)
    await asyncio.sleep(1.1)  # what the policy waits for
    sweep = await swept(cleanup, engineer, model=model_id)
    assert {verdict for verdict, _ in verdicts(sweep).values()} == {"marked"}

    kept = await set_policy(cleanup, engineer, model_id, unknown=None)
    assert (kept["source"], kept["before"]["unknown"], kept["policy"]["unknown"]) == ("model", "1s", None)
    assert {verdict for verdict, _ in verdicts(await swept(cleanup, engineer, model=model_id)).values()} == {
        "spared"
    }
    removed = await cleanup.call("DELETE", f"/v1/retention/{model_id}", engineer, headers=WHATEVER)
    assert removed.json()["source"] == "fraud"
    assert (await default("DELETE")).json()["before"]["unknown"] == "1s"
    assert (await cleanup.get("/v1/retention-defaults", engineer))["items"] == []
    for namespace, status in (("*", 403), ("sales", 403), ("no namespace", 422)):
        assert (await default("PUT", namespace, json=QUICK)).status_code == status
    bad = await default("PUT", json=QUICK | {"unused": "soon"})
    assert (bad.status_code, "as in 90d" in bad.text) == (422, True)


async def test_each_role_may_do_its_part_and_bad_requests_are_refused(
    world: World, cleanup: Running, engineer: str
):
    model_id = await world.model(1)
    await known(cleanup, engineer, model_id, 1)
    reader = await world.people.person("rita", ("auditor", "fraud"))
    stranger = await world.people.person("sven", ("engineer", "other"))

    async def refused(method, path, key, **more):
        answer = await cleanup.call(method, path, key, **more)
        return answer.status_code, answer.json().get("code")

    assert (await cleanup.call("GET", "/v1/retention/fraud.churn", reader)).status_code == 200
    assert (await refused("PUT", "/v1/retention/fraud.churn", reader, json=QUICK, headers=WHATEVER))[0] == 403
    assert (await refused("GET", "/v1/retention/fraud.churn", stranger)) == (404, "unknown_model")
    for method, path, body in (
        ("GET", "/v1/retention/{}", None),
        ("PUT", "/v1/retention/{}", QUICK),
        ("GET", "/v1/usage/{}", None),
        ("POST", "/v1/cleanup-runs", {"model": "{}"}),
        ("POST", "/v1/cleanup-runs", {"model": "{}", "dry_run": True}),
    ):
        answers = []
        for model in ("fraud.churn", model_id, "fraud.none"):
            named = body and {k: v.format(model) if isinstance(v, str) else v for k, v in body.items()}
            answer = await cleanup.call(method, path.format(model), stranger, json=named, headers=WHATEVER)
            answers.append((answer.status_code, answer.json()["detail"].replace(model, "")))
        assert len(set(answers)) == 1, path
        assert answers[0][0] == 404
    assert (await refused("POST", "/v1/cleanup-runs", stranger, json={}))[0] == 403
    assert await refused("GET", "/v1/retention/nothing", engineer) == (404, "unknown_model")
    assert await refused("GET", "/v1/cleanup-runs/nothing", engineer) == (404, "unknown_cleanup_run")
    assert (
        await refused(
            "PUT", "/v1/retention/fraud.churn", engineer, json=QUICK | {"grace": "-1s"}, headers=WHATEVER
        )
    )[0] == 422
    assert (
        await refused(
            "PUT", "/v1/retention/fraud.churn", engineer, json=QUICK | {"unknown_field": 1}, headers=WHATEVER
        )
    )[0] == 422
    assert (await refused("PUT", "/v1/retention/fraud.churn", engineer, json=QUICK)) == (
        428,
        "if_match_required",
    )
    revision = (await set_policy(cleanup, engineer, model_id))["revision"]
    again = await set_policy(cleanup, engineer, model_id)
    assert (again["changed"], again["revision"]) == (False, revision)
    stale = {"headers": {"if-match": '"1"'}, "json": QUICK | {"keep_newest": 5}}
    assert await refused("PUT", "/v1/retention/fraud.churn", engineer, **stale) == (412, "stale_policy")


async def test_a_renamed_model_is_found_by_its_old_name_too(world: World, cleanup: Running, engineer: str):
    model_id = await world.model(1)
    await world.registry(model_id, "ModelRenamed", model="fraud.leavers", previous="fraud.churn")

    async def renamed():
        answer = await cleanup.call("GET", "/v1/retention/fraud.leavers", engineer)
        return answer.status_code == 200

    await cleanup.until(renamed)
    await world.used(world.usage("fraud.churn", 1, 7))

    async def counted():
        return (await cleanup.get("/v1/usage/fraud.churn", engineer))["versions"]

    assert (await cleanup.until(counted))[0]["total"] == 7
    assert (await cleanup.get("/v1/usage/fraud.churn", engineer))["model"] == "fraud.leavers"


async def test_a_report_repeated_over_http_with_its_key_counts_once(
    world: World, cleanup: Running, engineer: str
):
    model_id = await world.model(1)
    await known(cleanup, engineer, model_id, 1)
    body = {
        "model": "fraud.churn",
        "number": 1,
        "count": 5,
        "window_start": "2026-01-01T00:00:00Z",
        "window_end": "2026-01-01T00:01:00Z",
    }
    for _ in range(3):
        answer = await cleanup.call(
            "POST", "/v1/usage", engineer, json=body, headers={"idempotency-key": "one"}
        )
        assert (answer.status_code, answer.json()["total"]) == (202, 5)
    assert (await cleanup.get(f"/v1/usage/{model_id}", engineer))["versions"][0][
        "last_used_at"
    ] == "2026-01-01T00:01:00Z"


async def test_messages_without_usable_content_are_dead_lettered_and_the_rest_goes_on(
    world: World, cleanup: Running, engineer: str
):
    model_id = await world.model(1)
    await known(cleanup, engineer, model_id, 1)
    await world.used(world.usage("no.such.model", 1, 1, padding="x"))
    await world.used(world.usage("fraud.churn", 1, -5))
    await world.used(world.usage("fraud.churn", 1, 7))

    async def counted():
        return (await cleanup.get(f"/v1/usage/{model_id}", engineer))["versions"]

    assert (await cleanup.until(counted))[0]["total"] == 7
    admin = await world.people.person("otto", ("admin", "*"))

    async def dead_lettered():
        dead_letters = (await cleanup.get("/v1/dlq", admin))["items"]
        return dead_letters if len(dead_letters) == 2 else None

    reasons = " ".join(dead_letter["reason"] for dead_letter in await cleanup.until(dead_lettered))
    assert "padding" in reasons
    assert "count" in reasons


async def test_the_coming_month_is_scheduled_once_a_model_is_known(
    world: World, cleanup: Running, engineer: str, database
):
    for _ in range(3):
        await known(cleanup, engineer, await world.model(1, f"fraud.m{uuid.uuid4().hex[:6]}"), 1)
    connection = await asyncpg.connect(database.url("cleanup"))
    rows = await connection.fetch(
        "SELECT key, extract(day FROM due_at AT TIME ZONE 'UTC')::int AS day "
        "FROM cleanup.due WHERE kind = 'sweep'"
    )
    await connection.close()
    assert [(len(row["key"]), row["day"]) for row in rows] == [(7, 1)]


async def test_when_the_month_begins_its_sweep_judges_every_version(
    world: World, cleanup: Running, engineer: str, database
):
    await drafts_may_go(world, cleanup)
    model_id = await world.model(2)
    await known(cleanup, engineer, model_id, 2)
    connection = await asyncpg.connect(database.url("cleanup"))
    period = await connection.fetchval(
        "UPDATE cleanup.due SET due_at = now() WHERE kind = 'sweep' RETURNING key"
    )

    async def finished():
        answer = await cleanup.call("GET", f"/v1/cleanup-runs/{period}", engineer)
        return answer.json() if answer.status_code == 200 and answer.json()["phase"] == "finished" else None

    found = await cleanup.until(finished)
    assert (found["trigger"], found["actor"], found["models"]) == ("schedule", "service:cleanup", 1)
    assert {verdict for verdict, _ in verdicts(found).values()} == {"spared"}
    assert (
        await connection.fetchval(
            "SELECT count(*) FROM cleanup.due WHERE kind = 'sweep' AND key = $1", period
        )
        == 0
    )
    await connection.close()


async def test_a_sweep_of_all_models_needs_a_role_and_one_of_a_model_the_right_to_read_it(
    world: World, cleanup: Running, engineer: str
):
    await drafts_may_go(world, cleanup)
    model_id = await world.model(1)
    await known(cleanup, engineer, model_id, 1)
    of_all, of_one = (
        (await swept(cleanup, engineer))["cleanup_run_id"],
        (await swept(cleanup, engineer, model=model_id))["cleanup_run_id"],
    )
    reader = await world.people.person("rita", ("auditor", "fraud"))
    stranger = await world.people.person("sven", ("engineer", "other"))
    no_role = await world.people.person("nora")

    async def listed(key):
        return {item["cleanup_run_id"] for item in (await cleanup.get("/v1/cleanup-runs", key))["items"]} & {
            of_all,
            of_one,
        }

    assert (await listed(engineer), await listed(reader), await listed(stranger)) == (
        {of_all, of_one},
        {of_all, of_one},
        {of_all},
    )
    for key, path, status in (
        (no_role, "", 403),
        (no_role, f"/{of_all}", 403),
        (no_role, "/nothing", 403),
        (stranger, f"/{of_one}", 404),
        (stranger, f"/{of_all}", 200),
        (reader, f"/{of_one}", 200),
    ):
        assert (await cleanup.call("GET", f"/v1/cleanup-runs{path}", key)).status_code == status, path
    assert (await cleanup.call("GET", "/v1/cleanup-runs", no_role)).status_code == 403
    page = await cleanup.get(f"/v1/cleanup-runs/{of_all}?page_size=1", stranger)
    assert (page["items"], page["next_page_token"]) == ([], ""), (
        "the token would hold the id of a foreign model"
    )
    hidden = await cleanup.call("GET", f"/v1/cleanup-runs/{of_one}", stranger)
    assert (
        hidden.json()["detail"]
        == (await cleanup.call("GET", "/v1/cleanup-runs/nothing", stranger)).json()["detail"]
    )


@pytest.mark.slow
async def test_a_sweep_over_many_models_goes_on_after_a_kill_and_judges_each_version_once(
    world: World, cleanup: Running, engineer: str, start, database
):
    cleanup = start("cleanup", world.people.keys["service:cleanup"])
    await cleanup.ready()
    await drafts_may_go(world, cleanup)
    await asyncio.gather(
        world.model(1200, "fraud.large"), *[world.model(3, f"fraud.small{n}") for n in range(40)]
    )
    await all_known(cleanup, database, 1200 + 120)
    answer = await cleanup.call("POST", "/v1/cleanup-runs", engineer, json={})
    cleanup_run_id = answer.json()["cleanup_run_id"]
    cleanup.kill()
    second = start("cleanup", world.people.keys["service:cleanup"])
    await second.ready()

    async def finished():
        found = await second.get(f"/v1/cleanup-runs/{cleanup_run_id}", engineer)
        return found if found["phase"] == "finished" else None

    found = await second.until(finished, 60)
    assert (found["models"], found["versions"], found["verdicts"]) == (41, 1320, {"spared": 1320})
    connection = await asyncpg.connect(database.url("cleanup"))
    assert (
        await connection.fetchval("SELECT count(*) FROM log.events_cleanup WHERE type = 'VersionSpared'")
        == 1320
    )
    largest = (
        "SELECT max(n) FROM (SELECT count(*) AS n FROM log.events_cleanup "
        "WHERE type = 'VersionSpared' GROUP BY tx) AS t"
    )
    assert await connection.fetchval(largest) <= 2500
    await connection.close()


async def all_known(cleanup: Running, database, versions: int) -> None:
    connection = await asyncpg.connect(database.url("cleanup"))

    async def answers():
        return await connection.fetchval("SELECT count(*) FROM cleanup.versions") == versions

    await cleanup.until(answers, 120)
    await connection.close()


async def test_read_models_rebuilt_beside_the_running_service_are_the_ones_that_were_there(
    world: World, cleanup: Running, engineer: str, database
):
    model_id = await world.model(4)
    await world.registry(model_id, "AliasSet", number=1, alias="champion")
    await known(cleanup, engineer, model_id, 4)
    await set_policy(cleanup, engineer, model_id, unknown="0s", grace="0s")
    for number in (1, 2):
        await world.used(world.usage("fraud.churn", number, 3))
    await world.used(world.usage("fraud.unheard.of", 1, 3))
    sweep = await swept(cleanup, engineer)

    async def all_proposed():
        found = verdicts(await cleanup.get(f"/v1/cleanup-runs/{sweep['cleanup_run_id']}", engineer))
        return {v[0] for n, v in found.items() if n > 2} == {"proposed"}

    await cleanup.until(all_proposed)
    pool = await connect_pool(database.url("cleanup"), schemas=("cleanup",))
    async with pool.acquire() as connection:
        before = await projector.digest(SERVICE, connection)
        await projector.rebuild(SERVICE, pool)
        assert await projector.digest(SERVICE, connection) == before
    await pool.close()
