"""Names of people: given, corrected, erased; and what finishes an erasure when a process dies."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from services.registry.access.bootstrap import write
from services.registry.access.service import ACCESS_SERVICE
from shared.foundation.postgres import connect_pool
from shared.log import projector
from tests.integration.registry.conftest import PEPPER, Registry, World

pytestmark = pytest.mark.servers

ADA, CORRECTED = "Ada Byron", "Ada Lovelace"
ALL = "/access/identities"
ERASED = {"reason": "requested by mail"}


@asynccontextmanager
async def owner(database: Any) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.owner_url)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def dying_before_the_directory(database: Any) -> AsyncIterator[None]:
    """In here the registry commits its events and gets no further."""
    async with owner(database) as connection:
        await connection.execute("REVOKE INSERT, UPDATE ON directory.names FROM regista_registry")
        yield
        await connection.execute("GRANT INSERT, UPDATE ON directory.names TO regista_registry")


async def events(database: Any, subject: str) -> list[str]:
    async with owner(database) as connection:
        rows = await connection.fetch(
            "SELECT type FROM log.events_access WHERE stream = $1 ORDER BY revision", f"access-{subject}"
        )
    return [row["type"] for row in rows]


async def made(client: Any, name: str = ADA, **headers: str) -> str:
    answer = await client.post(ALL, json={"kind": "person", "name": name}, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["subject"])


async def name_of(client: Any, subject: str) -> str:
    return str((await client.get(f"{ALL}/{subject}")).json()["name"])


async def test_a_generated_subject_reveals_no_name_and_a_repeated_request_creates_no_second(
    registry, database
):
    async with registry.client("root") as client:
        first, other = await made(client, **{"idempotency-key": "k1"}), await made(client)
        assert await made(client, **{"idempotency-key": "k1"}) == first
    assert first.startswith("u-")
    assert first != other
    assert await events(database, first) == ["IdentityCreated"]


async def test_a_name_is_corrected_and_erased_and_each_is_an_event_without_it(registry, database):
    async with registry.client("root") as client:
        subject = await made(client)
        assert (await client.put(f"{ALL}/{subject}/name", json={"name": f" {CORRECTED} "})).json()[
            "name"
        ] == CORRECTED
        assert (await client.put(f"{ALL}/{subject}/name", json={"name": CORRECTED})).status_code == 200
        assert (await client.get("/access/names", params={"subjects": f"{subject},u-unknown"})).json()[
            "names"
        ] == {subject: CORRECTED}
        answer = (await client.post(f"{ALL}/{subject}:erase-name", json=ERASED)).json()
        assert "signed" in answer["kept"]
        assert "Backups" in answer["kept"]
        shown = (await client.get(f"{ALL}/{subject}")).json()
        assert (shown["name"], shown["name_erased_at"]) == ("", answer["name_erased_at"])
        assert (await client.get("/access/names", params={"subjects": subject})).json()["names"] == {
            subject: None
        }
    assert await events(database, subject) == ["IdentityCreated", "NameSet", "NameErased"]
    async with owner(database) as connection:
        stored = await connection.fetch(
            "SELECT bytes FROM log.events_access WHERE stream = $1 ORDER BY revision", f"access-{subject}"
        )
    assert not [row["bytes"] for row in stored if b"Ada" in row["bytes"]]
    assert b"requested by mail" in stored[-1]["bytes"]
    assert b'"subject":"root"' in stored[-1]["bytes"]


async def test_erasing_an_unknown_name_is_refused_and_erasing_again_changes_nothing(registry, database):
    async with registry.client("root") as client:
        for subject in ("root", "ci"):
            first = (await client.post(f"{ALL}/{subject}:erase-name", json=ERASED)).json()
            assert (await client.post(f"{ALL}/{subject}:erase-name", json=ERASED)).json() == first
            assert (await events(database, subject)).count("NameErased") == 1


@pytest.mark.parametrize(
    ("who", "request_", "status", "code"),
    [
        ("eva", ("POST", ALL + "/root:erase-name", ERASED), 403, "role_missing"),
        ("eva", ("PUT", ALL + "/eva/name", {"name": "Eva"}), 403, "role_missing"),
        ("root", ("POST", ALL + "/unknown:erase-name", ERASED), 404, "unknown_identity"),
        ("root", ("PUT", ALL + "/unknown/name", {"name": "N"}), 404, "unknown_identity"),
        ("root", ("POST", ALL + "/root:erase-name", {"reason": " "}), 422, "invalid_body"),
        ("root", ("PUT", ALL + "/root/name", {"name": " "}), 422, "invalid_body"),
        ("root", ("PUT", ALL + "/root/name", {"name": "Eva\u202eavE"}), 422, "invalid_body"),
        ("root", ("PUT", ALL + "/root/name", {"name": "Eva\nApproved by: Ada"}), 422, "invalid_body"),
        ("service:artifact", ("GET", "/access/names?subjects=root", None), 403, "role_missing"),
        ("root", ("GET", "/access/names?subjects=root,,eva", None), 422, "invalid_query"),
        ("root", ("GET", "/access/names?subjects=" + ",".join("ab" * 51), None), 422, "invalid_query"),
        (
            "root",
            ("POST", ALL, {"subject": "root", "kind": "person", "name": "Someone Else"}),
            409,
            "identity_exists",
        ),
    ],
)
async def test_requests_without_the_right_or_without_an_identity_are_refused(
    registry, who, request_, status, code
):
    method, path, body = request_
    async with registry.client(who) as client:
        answer = await client.request(method, path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_the_reason_of_an_erasure_does_not_say_the_name_nor_a_former_one(registry, database):
    async with registry.client("root") as client:
        subject = await made(client)
        await client.put(f"{ALL}/{subject}/name", json={"name": CORRECTED})
        for name in (ADA.upper(), CORRECTED):
            answer = await client.post(f"{ALL}/{subject}:erase-name", json={"reason": f"{name} left"})
            assert (answer.status_code, answer.json()["code"]) == (422, "name_in_reason")
    assert await events(database, subject) == ["IdentityCreated", "NameSet"]


@pytest.mark.parametrize(
    ("name", "reason", "status"),
    [
        ("Li", "litigation has ended", 200),
        ("Li", "Li left", 422),
        ("Ren\u00e9 M\u00fcller", "Rene\u0301  MU\u0308LLER asked", 422),
        ("Ren\u00e9 M\u00fcller", "Ren\u00e9\nM\u00fcller asked", 422),
        ("A. (Bob) *", "ab", 200),
        ("A. (Bob) *", "of A. (Bob) *, in writing", 422),
    ],
)
async def test_a_name_is_found_in_a_reason_as_words_however_they_are_written(registry, name, reason, status):
    async with registry.client("root") as client:
        subject = await made(client)
        await client.put(f"{ALL}/{subject}/name", json={"name": name})
        answer = await client.post(f"{ALL}/{subject}:erase-name", json={"reason": reason})
    assert answer.status_code == status


async def test_a_creation_that_died_before_the_directory_is_healed_by_repeating_it(registry, database):
    async with registry.client("root") as client:
        for key in ({"idempotency-key": "k1"}, {}):
            async with dying_before_the_directory(database):
                body = {"subject": f"u-{len(key)}", "kind": "person", "name": ADA}
                assert (await client.post(ALL, json=body, headers=key)).status_code == 503
            assert await name_of(client, body["subject"]) == ""
            assert (await client.post(ALL, json=body, headers=key)).json()["name"] == ADA
            assert await events(database, body["subject"]) == ["IdentityCreated"]


async def test_a_correction_that_died_before_the_directory_is_healed_by_repeating_it(registry, database):
    key = {"idempotency-key": "k1"}
    async with registry.client("root") as client:
        subject = await made(client)
        async with dying_before_the_directory(database):
            assert (
                await client.put(f"{ALL}/{subject}/name", json={"name": CORRECTED}, headers=key)
            ).status_code == 503
        assert (await client.put(f"{ALL}/{subject}/name", json={"name": CORRECTED}, headers=key)).json()[
            "name"
        ] == CORRECTED
    assert await events(database, subject) == ["IdentityCreated", "NameSet"]


@pytest.mark.parametrize("key", [{"idempotency-key": "k1"}, {}], ids=["same key", "another request"])
async def test_an_erasure_that_died_before_the_directory_is_healed_by_repeating_it(registry, database, key):
    async with registry.client("root") as client:
        subject = await made(client)
        async with dying_before_the_directory(database):
            assert (
                await client.post(f"{ALL}/{subject}:erase-name", json=ERASED, headers=key)
            ).status_code == 503
        assert await name_of(client, subject) == ADA
        assert (await client.post(f"{ALL}/{subject}:erase-name", json=ERASED, headers=key)).status_code == 200
        assert await name_of(client, subject) == ""
    assert await events(database, subject) == ["IdentityCreated", "NameErased"]


async def test_an_erasure_whose_answer_was_lost_is_answered_again(registry, database):
    key = {"idempotency-key": "k1"}
    async with registry.client("root") as client:
        subject = await made(client)
        first = await client.post(f"{ALL}/{subject}:erase-name", json=ERASED, headers=key)
        again = await client.post(f"{ALL}/{subject}:erase-name", json=ERASED, headers=key)
        assert again.json() == first.json()
    assert await events(database, subject) == ["IdentityCreated", "NameErased"]


async def test_a_repeated_request_does_not_restore_an_erased_name(registry, database):
    async with registry.client("root") as client:
        subject = await made(client, **{"idempotency-key": "k1"})
        await client.put(f"{ALL}/{subject}/name", json={"name": CORRECTED}, headers={"idempotency-key": "k2"})
        await client.post(f"{ALL}/{subject}:erase-name", json=ERASED)
        await made(client, **{"idempotency-key": "k1"})
        await client.put(f"{ALL}/{subject}/name", json={"name": CORRECTED}, headers={"idempotency-key": "k2"})
        assert await name_of(client, subject) == ""


async def test_an_old_erasure_that_is_repeated_takes_no_later_name(registry):
    key = {"idempotency-key": "k1"}
    async with registry.client("root") as client:
        subject = await made(client)
        await client.post(f"{ALL}/{subject}:erase-name", json=ERASED, headers=key)
        await client.put(f"{ALL}/{subject}/name", json={"name": CORRECTED})
        await client.post(f"{ALL}/{subject}:erase-name", json=ERASED, headers=key)
        assert await name_of(client, subject) == CORRECTED


async def test_a_repeated_request_goes_by_the_logs_last_word_where_the_directory_did_not_follow_it_yet(
    registry, database
):
    first, second, third = ({"idempotency-key": key} for key in ("k1", "k2", "k3"))
    body = {"subject": "u-1", "kind": "person", "name": ADA}
    async with registry.client("root") as client:
        async with dying_before_the_directory(database):
            await client.post(ALL, json=body, headers=first)
            await client.put(f"{ALL}/u-1/name", json={"name": CORRECTED}, headers=second)
            await client.post(f"{ALL}/u-1:erase-name", json=ERASED, headers=third)
        assert (await client.post(ALL, json=body, headers=first)).json()["name"] == ""
        assert (await client.put(f"{ALL}/u-1/name", json={"name": CORRECTED}, headers=second)).json()[
            "name"
        ] == ""
        async with dying_before_the_directory(database):
            await client.put(f"{ALL}/u-1/name", json={"name": "Ada King"}, headers={"idempotency-key": "k4"})
        await client.post(f"{ALL}/u-1:erase-name", json=ERASED, headers=third)
        assert (
            await client.put(f"{ALL}/u-1/name", json={"name": "Ada King"}, headers={"idempotency-key": "k4"})
        ).json()["name"] == "Ada King"
    assert await events(database, "u-1") == ["IdentityCreated", "NameSet", "NameErased", "NameSet"]


async def test_a_name_that_the_log_lists_as_erased_is_erased_at_the_next_start(
    registry, database, start: Callable[..., Registry]
):
    async with registry.client("root") as client:
        subject = await made(client)
        async with dying_before_the_directory(database):
            await client.post(f"{ALL}/{subject}:erase-name", json=ERASED)
    registry.child.kill()
    next_ = start()
    await next_.ready()
    async with next_.client("root") as client:
        assert await name_of(client, subject) == ""


async def test_a_rebuild_leaves_the_directory_alone(registry, database):
    async with registry.client("root") as client:
        named, erased = await made(client), await made(client)
        await client.post(f"{ALL}/{erased}:erase-name", json=ERASED)
        before = (await client.get(ALL)).json()
        async with owner(database) as connection:
            rows = await connection.fetch("SELECT * FROM directory.names ORDER BY subject")
            pool = await connect_pool(database.url("registry"), schemas=("access",))
            try:
                await projector.rebuild(ACCESS_SERVICE, pool)
            finally:
                await pool.close()
            assert await connection.fetch("SELECT * FROM directory.names ORDER BY subject") == rows
        assert (await client.get(ALL)).json() == before
        assert await name_of(client, named) == ADA


async def test_the_name_in_a_stored_request_cannot_be_read_without_the_pepper(registry, database):
    """Without the key, trying names until the digest fits would find a name."""
    async with registry.client("root") as client:
        await made(client, **{"idempotency-key": "k1"})
    request = 'POST\n/v1/access/identities\n\n\n{"kind":"person","name":"Ada Byron"}'
    async with owner(database) as connection:
        kept = await connection.fetchval(
            "SELECT digest FROM access.inbox WHERE (source, id) = ('http/root', 'k1')"
        )
    assert kept == hmac.digest(PEPPER.encode(), hashlib.sha256(request.encode()).digest(), "sha256")


async def test_bootstrap_names_whom_it_makes_and_brings_no_erased_name_back(database, start):
    world, url = World(), database.url("registry")
    spec = world.spec()
    async with owner(database) as connection:
        named = "SELECT name FROM directory.names WHERE subject = 'eva'"
        async with dying_before_the_directory(database):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await write(url, spec)
        assert await write(url, spec) == 0
        assert await connection.fetchval(named) == "eva"
        await connection.execute("UPDATE directory.names SET name = NULL, revision = 9 WHERE subject = 'eva'")
        await write(url, spec)
        assert await connection.fetchval(named) is None
