"""What auditors can prove over HTTP, and that seal and index stand whatever happens to the process."""

from __future__ import annotations

import base64

import asyncpg
import pytest

from regista.wire.checkpoint import opened
from regista.wire.merkle import leaf_hash, root_of, verify_consistency, verify_inclusion
from services.audit import index_writer
from tests.integration.audit.conftest import STREAM, Audit, Log, indexed, promoted, published, registered

pytestmark = pytest.mark.servers


async def test_checkpoints_open_under_the_published_key_and_hold_the_root_of_the_log(
    service, auditor, log: Log, audit_key
):
    await registered(log, 1, "1.0.0")
    await indexed(service, auditor, log)
    listed = await service.get("/v1/log-checkpoints", auditor)
    newest = opened(listed["items"][0]["note"], listed["origin"], audit_key.public)
    connection = await asyncpg.connect(log.database.url("audit"))
    rows = await connection.fetch("SELECT e.bytes FROM log.events e ORDER BY e.tx, e.seq")
    await connection.close()
    assert (newest.size, newest.root) == (len(rows), root_of([leaf_hash(r[0]) for r in rows]))


async def test_checkpoints_alone_prove_an_event_and_the_growth_of_the_log(service, auditor, log: Log):
    for number in (1, 2, 3):
        await registered(log, number, f"1.0.{number}")
    await indexed(service, auditor, log)
    older = (await service.get("/v1/log-checkpoints", auditor))["items"][0]
    await promoted(log, 1, "1.0.1")
    await indexed(service, auditor, log)
    newer = (await service.get("/v1/log-checkpoints", auditor))["items"][0]
    item = (await service.get("/v1/timeline/fraud.churn", auditor))["items"][2]
    answer = await service.get(
        "/v1/proofs/inclusion", auditor, leaf_index=item["leaf_index"], size=newer["size"]
    )
    leaf, proof = (
        leaf_hash(base64.b64decode(answer["stored"])),
        [bytes.fromhex(node) for node in answer["proof"]],
    )
    assert leaf.hex() == answer["leaf"] == item["leaf"]
    assert verify_inclusion(leaf, item["leaf_index"], newer["size"], proof, bytes.fromhex(newer["root"]))
    grown = await service.get("/v1/proofs/consistency", auditor, first=older["size"], size=newer["size"])
    path = [bytes.fromhex(node) for node in grown["proof"]]
    assert verify_consistency(
        older["size"], bytes.fromhex(older["root"]), newer["size"], bytes.fromhex(newer["root"]), path
    )
    for path_, query, status in (
        ("inclusion", {"leaf_index": 10_000}, 404),
        ("inclusion", {"leaf_index": 0, "size": 10_000}, 404),
        ("consistency", {"first": 10_000}, 422),
    ):
        assert (await service.call("GET", f"/v1/proofs/{path_}", auditor, params=query)).status_code == status


async def test_the_invariants_hold_for_a_correct_log_and_name_what_breaks_them(service, auditor, log: Log):
    await published(log)
    await registered(log, 1, "1.0.0")
    await promoted(log, 1, "1.0.0")
    await indexed(service, auditor, log)
    correct = await service.get("/v1/invariants", auditor)
    assert correct["holds"], correct
    assert {f["name"]: f["checked"] for f in correct["invariants"]}["I9-production"] == 2
    await promoted(log, 2, "1.1.0", ("bea",))
    await promoted(log, 3, "1.2.0", ("bea", "dora"))
    await log.append(
        "registry",
        STREAM,
        "VersionPromoted",
        {"number": 4, "environment": "production", "promotion_id": "p4", "digest": "x"},
    )
    await log.append(
        "registry",
        STREAM,
        "RolledBack",
        {"environment": "production", "to_number": 7, "from_number": 4, "entries": []},
    )
    await log.append(
        "registry",
        STREAM,
        "RolloutChanged",
        {
            "environment": "eu",
            "entries": [{"number": 1, "role": "champion"}, {"number": 9, "role": "shadow"}],
        },
    )
    await indexed(service, auditor, log)
    broken = {f["name"]: f for f in (await service.get("/v1/invariants", auditor))["invariants"]}
    assert [name for name, f in broken.items() if not f["holds"]] == ["I9-production"]
    faults = [v["fault"] for v in broken["I9-production"]["violations"]]
    assert faults == [
        "1 approvals of what was shown, 2 needed",
        "approved by a person who made or requested it: dora",
        "the promotion was never requested",
        "version 7 became champion of production and was never promoted there",
        "version 1 became champion of eu and was never promoted there",
    ]


async def test_a_full_run_finds_what_was_changed_in_leaves_that_were_verified_before(
    service, auditor, log: Log
):
    for n in range(4):
        await log.append("registry", "x-1", "Happened", {"n": n})
    await indexed(service, auditor, log)
    before = await service.get("/v1/invariants", auditor)
    assert (before["holds"], before["verified"], before["full_run"]) == (True, before["sealed"], None)
    already = await service.get("/v1/invariants", auditor, verify="false")
    assert (already["verified"], already["invariants"]) == (before["verified"], before["invariants"])
    owner = await asyncpg.connect(log.database.owner_url)
    await owner.execute("ALTER TABLE log.events DISABLE TRIGGER append_only")
    await owner.execute("UPDATE log.events SET bytes = '{}' WHERE stream = 'x-1' AND revision = 2")
    await owner.close()
    assert (await service.get("/v1/invariants", auditor))["holds"]
    answer = await service.call("POST", "/v1/invariants:check", auditor)
    assert (answer.status_code, answer.json()["leaves"]) == (202, before["sealed"])

    async def finished():
        found = await service.get("/v1/invariants", auditor)
        return found["full_run"] is None and found["read_since"] > before["read_since"]

    await service.until(finished)
    after = await service.get("/v1/invariants", auditor)
    assert [f["name"] for f in after["invariants"] if not f["holds"]] == ["I2-sealed", "I7-index"]
    assert (after["holds"], after["verified"]) == (False, before["verified"])


async def test_only_auditors_of_everything_may_request_a_full_run(service, people, auditor, log: Log):
    of_fraud = await people.person("fred", ("auditor", "fraud"))

    async def signed_in():
        return (await service.call("POST", "/v1/invariants:check", of_fraud)).status_code != 401

    await service.until(signed_in)
    assert (await service.call("POST", "/v1/invariants:check", of_fraud)).status_code == 403


@pytest.mark.slow
async def test_a_killed_sealer_resumes_and_two_replicas_seal_each_event_once(
    start, audit_key, people, auditor, log: Log
):
    first, second = start("audit", audit_key), start("audit", audit_key)
    await first.ready()
    await second.ready()
    for n in range(60):
        await log.append("registry", f"x-{n % 5}", "Happened", {"n": n})
        if n == 30:
            first.kill()
    await indexed(second, auditor, log)
    second.kill()
    third = start("audit", audit_key)
    await third.ready()
    await log.append("registry", "x-1", "Happened", {"n": 61})
    await indexed(third, auditor, log)
    assert (await third.get("/v1/invariants", auditor))["holds"]


async def test_an_index_filled_by_another_reading_is_emptied_and_read_again_and_sealed_leaves_stay(
    log: Log, audit: Audit
):
    await registered(log, 1, "1.0.0")
    await audit.catch_up()
    before, root = (
        await index_writer.digest(audit.connection),
        await audit.connection.fetchval("SELECT root FROM audit.checkpoints"),
    )
    await audit.connection.execute("UPDATE audit.index_state SET reading = 1")
    await index_writer.reset_outdated_index(audit.connection)
    assert await audit.connection.fetchval("SELECT count(*) FROM audit.event_index") == 0
    await audit.catch_up()
    assert await index_writer.digest(audit.connection) == before
    assert await audit.connection.fetchval("SELECT root FROM audit.checkpoints") == root


async def test_the_index_rebuilt_beside_the_running_service_is_the_one_that_was_there(
    service, auditor, log: Log, audit: Audit
):
    await registered(log, 1, "1.0.0")
    await promoted(log, 1, "1.0.0")
    await log.append(
        "registry", "x-1", "Happened", {"model": "nul \x00 in text", "model_id": "odd\x00"}, reason="a\x00b"
    )
    await indexed(service, auditor, log)
    before = await index_writer.digest(audit.connection)
    rebuilt = await index_writer.rebuild(audit.connection)
    assert await index_writer.digest(audit.connection) == before
    assert rebuilt.events == await audit.connection.fetchval("SELECT count(*) FROM log.events")
    await log.append("registry", "x-1", "Happened", {"n": 2})
    await indexed(service, auditor, log)
    assert await audit.connection.fetchval("SELECT count(DISTINCT generation) FROM audit.event_index") == 1
