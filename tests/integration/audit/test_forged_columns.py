"""What is shown comes from sealed bytes: a column that differs from them is a finding."""

from __future__ import annotations

from typing import Any

import pytest

from services.audit import queries
from services.audit.log_verification import runs
from services.audit.log_verification.verifier import InvariantBroken, Verifier, check_invariants
from shared.foundation.postgres import connect_pool
from tests.integration.audit.conftest import MODEL, STREAM, Audit, Log, indexed, promoted, registered
from tests.integration.audit.test_published_checkpoints import as_owner
from tests.integration.audit.test_sealing import findings
from tests.processes import Running

SECOND = "WHERE stream = 'x-1' AND revision = 2"
OF_LOG = {
    f"UPDATE log.events SET type = 'Forged' {SECOND}": "columns differ from its bytes: type",
    f"UPDATE log.events SET schema = 9 {SECOND}": "columns differ from its bytes: schema",
    f"UPDATE log.events SET bytes = '{{}}' {SECOND}": "not what was sealed",
}
OF_INDEX = {
    f"UPDATE audit.event_index SET {change} WHERE stream = 'x-1' AND revision = 2": column
    for column, change in {
        "type": "type = 'VersionPromoted'",
        "recorded_at": "recorded_at = recorded_at - interval '1 day'",
        "number": "number = 7",
        "environment": "environment = 'production'",
        "promotion_id": "promotion_id = 'p'",
        "correlation_id": "correlation_id = 'other'",
        "position or id": "event_id = gen_random_uuid()",
    }.items()
}


async def three(log: Log, audit: Audit) -> None:
    for n in range(3):
        await log.append("registry", "x-1", "Happened", {"n": n}, correlation="c")
        await log.append("approval", "y-1", "Happened", {"n": n})
    await audit.catch_up()


@pytest.mark.parametrize(("statement", "fault"), OF_LOG.items())
async def test_a_forged_column_of_the_log_is_shown_as_a_fault_and_found(
    log: Log, audit: Audit, database: Any, audit_key: Any, statement: str, fault: str
) -> None:
    await three(log, audit)
    await as_owner(database, statement)
    pool = await connect_pool(database.url("audit"), schemas=("audit",))
    try:
        shown = [queries.as_json(row) for row in await queries.of_streams(pool, ["x-1"])]
    finally:
        await pool.close()
    assert [fault in event["fault"] for event in shown] == [False, True, False]
    assert [event["fault"] for event in shown if fault not in event["fault"]] == ["", ""]
    assert not (await findings(database, audit_key))["I2-sealed"].holds


@pytest.mark.parametrize(("statement", "column"), OF_INDEX.items(), ids=OF_INDEX.values())
async def test_a_forged_column_of_the_index_is_found_and_shown_where_it_still_finds_the_event(
    log: Log, audit: Audit, database: Any, audit_key: Any, statement: str, column: str
) -> None:
    await three(log, audit)
    assert all(f.holds for f in (await findings(database, audit_key)).values())
    await as_owner(database, statement)
    pool = await connect_pool(database.url("audit"), schemas=("audit",))
    try:
        shown = [queries.as_json(row) for row in await queries.of_correlation(pool, "c")]
    finally:
        await pool.close()
    if column != "correlation_id":
        assert [column in event["fault"] for event in shown] == [False, True, False]
        assert [event["type"] for event in shown] == ["Happened"] * 3
    found = await findings(database, audit_key)
    assert {name for name, f in found.items() if not f.holds} == {"I7-index"}


@pytest.mark.parametrize(
    "statement", ["DELETE FROM audit.event_index WHERE number = 1", "DELETE FROM audit.mentions"]
)
async def test_an_event_that_the_index_no_longer_finds_is_a_violation(
    log: Log, audit: Audit, database: Any, audit_key: Any, statement: str
) -> None:
    await registered(log, 1, "1.0.0")
    await audit.catch_up()
    await as_owner(database, statement)
    assert not (await findings(database, audit_key))["I7-index"].holds


async def test_events_of_two_streams_that_changed_places_are_found(
    log: Log, audit: Audit, database: Any, audit_key: Any
) -> None:
    await three(log, audit)
    swap = (
        "UPDATE log.events e SET tx = o.tx, seq = o.seq FROM log.events o"
        " WHERE e.revision = 2 AND o.revision = 2"
        " AND (e.stream, o.stream) IN (('x-1', 'y-1'), ('y-1', 'x-1'))"
    )
    await as_owner(database, swap)
    found = await findings(database, audit_key)
    assert not found["I2-streams"].holds
    assert any("earlier leaf" in v["fault"] for v in found["I2-streams"].violations)


async def test_the_whole_log_is_verified_again_when_the_time_has_come(
    log: Log, audit: Audit, database: Any, audit_key: Any
) -> None:
    await three(log, audit)
    pool = await connect_pool(database.url("audit"), schemas=("audit",))
    try:
        verifier = Verifier(audit_key, all_every=3600)
        await verifier.work(pool)
        first, _ = await runs.runs(pool)
        await as_owner(database, next(iter(OF_LOG)))
        await verifier.work(pool)
        await check_invariants(pool)  # only a run over the whole log reads what was verified before
        assert (await runs.runs(pool))[0].run == first.run
        await as_owner(
            database, "UPDATE audit.verification_runs SET requested_at = now() - interval '61 min'"
        )
        await verifier.work(pool)
        assert (await runs.runs(pool))[0].run > first.run
        with pytest.raises(InvariantBroken, match="I2-sealed"):
            await check_invariants(pool)
    finally:
        await pool.close()


async def test_a_fault_that_a_question_meets_turns_readiness_and_a_metric_red(
    service: Running, auditor: str, log: Log, database: Any
) -> None:
    await registered(log, 1, "1.0.0")
    await promoted(log, 1, "1.0.0")
    await indexed(service, auditor, log)
    answer = await service.get("/v1/as-of", auditor, model=MODEL)
    assert answer["entries"][0]["promotion"]["event"]["fault"] == ""
    forged = "UPDATE log.events SET bytes = replace(convert_from(bytes, 'UTF8'), 'ann', 'eve')::bytea"
    await as_owner(database, f"{forged} WHERE stream = '{STREAM}' AND type = 'PromotionRequested'")
    timeline = await service.get(f"/v1/timeline/{MODEL}", auditor)
    assert [e["type"] for e in timeline["items"] if e["fault"]] == ["PromotionRequested"]

    async def red() -> bool:
        async with service.client() as client:
            ready = await client.get("/readyz")
            metrics = (await client.get("/metrics")).text
        return (
            ready.status_code == 503
            and "I2-sealed" in ready.text
            and "regista_audit_broken_invariants 1.0" in metrics
        )

    await service.until(red)
    assert not (await service.get("/v1/invariants", auditor))["holds"]
