"""The HTTP edge of a real process on a real database."""

from __future__ import annotations

import asyncio
import collections
import re
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from shared.deciding.access import KeyRevoked
from tests.integration.edges.conftest import People, Toy

pytestmark = pytest.mark.servers


@pytest.fixture
async def engineer(people: People) -> str:
    return await people.person("anna", ("engineer", "toys"))


async def test_a_counted_number_is_read_back_immediately(toy: Toy, engineer: str) -> None:
    async with toy.client(engineer) as client:
        answer = await client.post("/v1/counters/a:count", json={"by": 3})
        assert answer.status_code == 200, answer.text
        assert (answer.json()["total"], answer.headers["etag"]) == (3, '"1"')
        read = await client.get("/v1/counters/a")
        assert (read.json(), read.headers["etag"]) == ({"total": 3}, '"1"')
        assert (await client.get("/v1/counters/a", headers={"if-none-match": '"1"'})).status_code == 304


async def test_a_repeated_idempotency_key_has_one_effect_and_refuses_another_body(
    toy: Toy, engineer: str
) -> None:
    async with toy.client(engineer) as client:
        key = {"idempotency-key": "once", "content-type": "application/json"}
        first = await client.post("/v1/counters/a:count", content='{"by": 3, "note": ""}', headers=key)
        again = await client.post("/v1/counters/a:count", content='{"note":"","by":3}', headers=key)
        other = await client.post("/v1/counters/a:count", json={"by": 4}, headers=key)
    assert (first.json()["total"], again.json()["total"], again.json()["replayed"]) == (3, 3, True)
    assert other.status_code == 422
    assert other.json()["code"] == "idempotency_mismatch"


REFUSALS: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("GET", "/v1/counters/none", {}, 404, "no_such_counter"),
    ("GET", "/nothing/here", {}, 404, "no_such_route"),
    ("GET", "/v1/counters/a%00b", {}, 400, "nul_character"),
    ("GET", "/v1/counters?page_token=%00", {}, 400, "nul_character"),
    ("DELETE", "/v1/counters/a", {}, 405, "method_not_allowed"),
    ("PATCH", "/v1/counters/a", {"json": {"by": 1}}, 428, "if_match_required"),
    ("PATCH", "/v1/counters/a", {"json": {"by": 1}, "headers": {"if-match": '"7"'}}, 412, "stale"),
    ("PATCH", "/v1/counters/a", {"json": {"by": 1}, "headers": {"if-match": "seven"}}, 412, "unknown_etag"),
    ("POST", "/v1/counters/a:count", {"json": {"by": -1}}, 409, "negative"),
    ("POST", "/v1/counters/a:count", {"json": {"by": 1, "what": 2}}, 422, "invalid_body"),
    (
        "POST",
        "/v1/counters/a:count",
        {"content": b"{no json", "headers": {"content-type": "application/json"}},
        422,
        "invalid_body",
    ),
    (
        "POST",
        "/v1/counters/a:count",
        {"content": b"by=1", "headers": {"content-type": "application/x-www-form-urlencoded"}},
        415,
        "not_json",
    ),
    ("POST", "/v1/counters/a:count", {"json": {"by": 1, "note": "x" * 1_100_000}}, 413, "body_too_large"),
    (
        "POST",
        "/v1/counters/a:count",
        {"json": {"by": 1}, "headers": {"x-correlation-id": b"a\x85b"}},
        422,
        "invalid_correlation_id",
    ),
    (
        "POST",
        "/v1/counters/a:count",
        {"json": {"by": 1}, "headers": {"idempotency-key": b"a\x85b"}},
        422,
        "invalid_idempotency_key",
    ),
    (
        "POST",
        "/v1/counters/a:count",
        {"json": {"by": 1}, "headers": {"idempotency-key": "k" * 201}},
        422,
        "invalid_idempotency_key",
    ),
    ("GET", "/v1/counters?page_size=0&what=1", {}, 422, "invalid_query"),
    ("GET", "/v1/counters?page_token=zzz", {}, 422, "invalid_page_token"),
    ("GET", "/v1/broken", {}, 500, "internal_error"),
    ("GET", "/v1/slower", {}, 503, "timed_out"),
]


async def test_a_refused_request_is_a_problem_with_the_next_step(toy: Toy, engineer: str) -> None:
    async with toy.client(engineer) as client:
        for method, path, more, status, code in REFUSALS:
            answer = await client.request(method, path, **more)
            assert (answer.status_code, answer.json()["code"]) == (status, code), (path, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["type"] == f"https://regista.dev/problems/{code}"
            assert answer.json()["status"] == status
            assert answer.json()["detail"]
            assert "topsecret" not in answer.text
            assert (answer.headers.get("allow") == "GET, PATCH") == (status == 405)
            assert ("retry-after" in answer.headers) == (status == 503)


async def test_a_read_ignores_the_condition_of_a_change(toy: Toy, engineer: str) -> None:
    async with toy.client(engineer) as client:
        answer = await client.get("/v1/counters", headers={"if-match": "seven"})
    assert answer.status_code == 200, answer.text


async def test_every_wrong_field_is_named(toy: Toy, engineer: str) -> None:
    async with toy.client(engineer) as client:
        answer = await client.post("/v1/counters/a:count", json={"by": "many", "note": 3, "colour": "red"})
    assert {error["field"] for error in answer.json()["errors"]} == {"by", "note", "colour"}


async def test_a_body_without_declared_length_meets_the_same_limit(toy: Toy, engineer: str) -> None:
    async def pieces() -> Any:
        for _ in range(20):
            yield b"x" * 100_000

    async with toy.client(engineer) as client:
        answer = await client.post(
            "/v1/counters/a:count", content=pieces(), headers={"content-type": "application/json"}
        )
        assert answer.status_code == 413
        uploaded = await client.post("/v1/uploads", content=pieces())
        assert uploaded.json() == {"size": 2_000_000}


async def test_no_one_is_authenticated_without_a_live_key(toy: Toy, people: People) -> None:
    async with toy.client() as client:
        for header in (
            {},
            {"authorization": "Bearer rg_none_none"},
            {"authorization": "Basic abc"},
            {"authorization": "Bearer \u00e4".encode("latin-1")},
        ):
            answer = await client.get("/v1/counters", headers=header)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
            assert answer.headers["www-authenticate"].startswith("Bearer")
        assert (await client.get("/healthz")).json() == {"alive": True, "service": "registry"}
        assert (await client.get("/.well-known/regista")).json()["services"] == {"registry": "http://here"}
        assert "regista_http_seconds" in (await client.get("/metrics")).text


async def test_a_key_works_as_soon_as_it_is_issued_and_stops_when_revoked(toy: Toy, people: People) -> None:
    key = await people.person("bert", ("engineer", "toys"))
    async with toy.client(key) as client:
        assert (await client.post("/v1/counters/a:count", json={"by": 1})).status_code == 200
        await people.append("bert", KeyRevoked("bert", key.split("_")[1], "lost"))

        async def refused(_: Any) -> bool:
            return (await client.post("/v1/counters/a:count", json={"by": 1})).status_code in {401, 403}

        await toy.poll(refused, 5)


async def test_a_role_of_another_namespace_is_not_enough(toy: Toy, people: People) -> None:
    key = await people.person("carl", ("engineer", "games"))
    async with toy.client(key) as client:
        for answer in (
            await client.get("/v1/counters/a"),
            await client.post("/v1/counters/a:count", json={"by": 1}),
            await client.get("/v1/dlq"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "role_missing")


async def test_a_list_is_read_page_by_page(toy: Toy, engineer: str) -> None:
    async with toy.client(engineer) as client:
        await asyncio.gather(*[client.post(f"/v1/counters/c{n}:count", json={"by": n}) for n in range(7)])
        seen: list[str] = []
        token = ""
        while True:
            page = (
                await client.get("/v1/counters", params={"page_size": 3, "page_token": token, "at_least": 1})
            ).json()
            seen += [item["name"] for item in page["items"]]
            if not (token := page["next_page_token"]):
                break
    assert seen == [f"c{n}" for n in range(1, 7)]


async def test_a_trace_goes_from_the_request_into_the_event(toy: Toy, engineer: str) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    async with toy.client(engineer) as client:
        answer = await client.post("/v1/counters/a:count", json={"by": 1}, headers={"traceparent": trace})
    assert answer.json()["trace"] == trace


async def test_a_request_in_progress_is_answered_before_the_process_ends(toy: Toy, engineer: str) -> None:
    async with toy.client(engineer) as client:
        slow = asyncio.create_task(client.get("/v1/slow", headers={"x-seconds": "1"}))
        await asyncio.sleep(0.3)
        assert await asyncio.to_thread(toy.end) == 0
        assert (await slow).status_code == 200


def alarms(toy: Toy) -> collections.Counter[str]:
    """How often the toy's worker was called for each row."""
    return collections.Counter(re.findall(r'"message":"alarm ([^"]+)"', toy.log.read_text()))


async def test_due_work_is_done_once_even_if_it_takes_longer_than_its_lease(
    toy: Toy, engineer: str, database: Any
) -> None:
    async with toy.client(engineer) as client:
        for name in ("alarm-now", "alarm-fails", "alarm-long"):
            await client.post(f"/v1/counters/{name}:count", json={"by": 1})
    connection = await asyncpg.connect(database.url("registry"))
    try:
        rang = "SELECT stream, count(*) FROM log.events_registry WHERE type = 'Rang' GROUP BY 1"

        async def all_rang(_: Any) -> bool:
            return len(await connection.fetch(rang)) == 3 and not await connection.fetch(
                "SELECT FROM registry.due_leases"
            )

        await toy.poll(all_rang, 15)
        assert {row["count"] for row in await connection.fetch(rang)} == {1}
        assert alarms(toy) == {"alarm-now": 1, "alarm-fails": 2, "alarm-long": 1}
    finally:
        await connection.close()


async def test_two_replicas_do_due_work_once(
    start_toy: Callable[..., Toy], engineer: str, database: Any
) -> None:
    settings = {"TOY_KAFKA": "0", "TOY_LEASE": "30"}  # a lease that runs out is handled again by the other
    first, second = start_toy(**settings), start_toy(**settings)
    await asyncio.gather(first.ready(), second.ready())
    async with first.client(engineer) as client, second.client(engineer) as other:
        await asyncio.gather(
            *[(client, other)[n % 2].post(f"/v1/counters/alarm-{n}:count", json={"by": 1}) for n in range(20)]
        )
    connection = await asyncpg.connect(database.url("registry"))
    try:
        rang = "SELECT stream, count(*) FROM log.events_registry WHERE type = 'Rang' GROUP BY 1"

        async def all_rang(_: Any) -> bool:
            return len(await connection.fetch(rang)) == 20 and not await connection.fetch(
                "SELECT FROM registry.due_leases"
            )

        await first.poll(all_rang, 20)
        assert {row["count"] for row in await connection.fetch(rang)} == {1}
        assert alarms(first) + alarms(second) == collections.Counter(f"alarm-{n}" for n in range(20))
    finally:
        await connection.close()
