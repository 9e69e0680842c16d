"""audit signs nothing that contradicts a log checkpoint it published, also for the owner of the database."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from regista.wire.checkpoint import opened
from regista.wire.keys import generate_signing_key
from regista.wire.merkle import inclusion_ranges, leaf_hash, verify_inclusion
from services.audit import index_writer, tiles
from services.audit.checkpoint_copies.copies import Copy, StoreCopy
from services.audit.checkpoint_copies.guard import Contradicted, PublishedCheckpoints
from services.audit.checkpoint_copies.kafka_copy import KafkaCopy
from services.audit.export.stores import DiskStore, HistoryStore
from services.audit.leader import follow_log
from services.audit.sealing import SealedPage, Sealer
from shared.deciding.events import START, Cursor
from shared.foundation.settings import Settings
from shared.http.app import App
from tests.integration.approval.conftest import until_true
from tests.integration.audit.conftest import Audit, Log, indexed
from tests.integration.audit.test_history import s3_store
from tests.integration.audit.test_sealing import findings
from tests.processes import Running, running_here

CHANGE = "UPDATE log.events SET bytes = '{\"forged\":true}' WHERE stream = 'x-1' AND revision = 2"
EMPTY = (
    "TRUNCATE audit.sealed, audit.checkpoints, audit.tiles;"
    " UPDATE audit.tree SET size = 0, tiled = 0, edge = '', tx = 0, seq = 0"
)
OTHER_LOG = "UPDATE audit.tree SET origin = 'regista.log/other'"
OLDER = (
    "DELETE FROM log.events WHERE revision > 1; TRUNCATE audit.checkpoints, audit.tiles;"
    " DELETE FROM audit.sealed WHERE leaf_index > 0; UPDATE audit.tree SET size = 1, tiled = 0,"
    " edge = (SELECT leaf FROM audit.sealed), tx = (SELECT tx::text::bigint FROM log.events),"
    " seq = (SELECT seq FROM audit.sealed)"
)


async def as_owner(database: Any, *statements: str) -> None:
    """What the database owner's password allows: the triggers are off."""
    owner = await asyncpg.connect(database.owner_url)
    try:
        for table in ("events", "events_registry"):
            await owner.execute(f"ALTER TABLE log.{table} DISABLE TRIGGER ALL")
        for table in ("sealed", "checkpoints", "tree"):
            await owner.execute(f"ALTER TABLE audit.{table} DISABLE TRIGGER ALL")
        for statement in statements:
            await owner.execute(statement)
    finally:
        await owner.close()


def disk(folder: Path) -> StoreCopy:
    return StoreCopy(*(DiskStore(folder, f"checkpoints/v1/{name}") for name in ("newest", "kept")))


async def three_events(log: Log) -> None:
    for n in range(3):
        await log.append("registry", "x-1", "Happened", {"n": n})


async def sealed_whole(audit: Audit, sealer: Sealer) -> None:
    """Seal every event; a transaction of another test may hide the newest for a moment."""

    async def whole() -> bool:
        await sealer.step(audit.connection)
        return await audit.connection.fetchval(
            "SELECT (SELECT count(*) FROM log.events) = (SELECT size FROM audit.tree)"
        )

    await until_true(whole)


async def signed_with(audit: Audit, key: Any, *copies: Copy) -> int:
    """Seal and sign with a new process, and return how many events its log checkpoint covers."""
    published = PublishedCheckpoints(key, copies)
    sealer = Sealer(key, published)
    try:
        await sealed_whole(audit, sealer)
        await sealer.sign(audit.connection)
    finally:
        await published.close()
    return await audit.connection.fetchval("SELECT max(size) FROM audit.checkpoints")


@pytest.mark.parametrize(
    "statements",
    [
        (CHANGE, EMPTY),
        (OLDER,),
        (EMPTY, OTHER_LOG),
        (CHANGE, EMPTY, OTHER_LOG),
        (EMPTY, "TRUNCATE log.events_registry"),
    ],
    ids=["rewritten", "older", "another-log", "rewritten-as-another-log", "empty"],
)
@pytest.mark.parametrize("where", ["disk", "kafka"])
async def test_a_rewritten_log_is_neither_sealed_nor_signed(
    log: Log,
    audit: Audit,
    database: Any,
    audit_key: Any,
    tmp_path: Path,
    stack: Any,
    where: str,
    statements: Any,
) -> None:
    settings = Settings.from_environment(stack.service_environment("audit", database.name))
    copy: Copy = disk(tmp_path) if where == "disk" else KafkaCopy(settings)
    await three_events(log)
    assert await signed_with(audit, audit_key, copy) == 3
    await as_owner(database, *statements)
    sealed = await audit.connection.fetchval("SELECT count(*) FROM audit.sealed")
    for _ in range(2):  # a second try, also by another process, changes nothing
        with pytest.raises(Contradicted):
            await signed_with(audit, audit_key, copy)
    assert await audit.connection.fetchval("SELECT count(*) FROM audit.sealed") == sealed
    assert await audit.connection.fetchval("SELECT max(size) FROM audit.checkpoints") in {None, 3}


@pytest.mark.parametrize("statements", [(CHANGE, EMPTY), (OLDER,), (EMPTY, OTHER_LOG)])
async def test_a_process_that_runs_on_compares_with_its_own_last_checkpoint(
    log: Log, audit: Audit, database: Any, audit_key: Any, statements: Any
) -> None:
    await three_events(log)
    published = PublishedCheckpoints(audit_key)
    sealer = Sealer(audit_key, published)
    await sealed_whole(audit, sealer)
    assert await sealer.sign(audit.connection)
    await as_owner(database, *statements)
    with pytest.raises(Contradicted):
        await Sealer(audit_key, published).step(audit.connection)


async def test_a_log_that_goes_on_is_signed_by_the_next_process(
    log: Log, audit: Audit, audit_key: Any, tmp_path: Path
) -> None:
    for size in (3, 6, 9):
        await three_events(log)
        assert await signed_with(audit, audit_key, disk(tmp_path)) == size


async def test_a_crash_after_the_copies_took_a_checkpoint_leaves_a_log_that_can_be_signed(
    log: Log, audit: Audit, database: Any, audit_key: Any, tmp_path: Path
) -> None:
    await three_events(log)
    await signed_with(audit, audit_key, disk(tmp_path))
    await as_owner(database, "TRUNCATE audit.checkpoints")
    assert await signed_with(audit, audit_key, disk(tmp_path)) == 3


async def test_two_logs_that_share_the_copies_do_not_disturb_each_other(
    log: Log, audit: Audit, database: Any, audit_key: Any, tmp_path: Path
) -> None:
    await three_events(log)
    await signed_with(audit, generate_signing_key("service:audit"), disk(tmp_path))
    await as_owner(database, EMPTY, OTHER_LOG)
    assert await signed_with(audit, audit_key, disk(tmp_path)) == 3


@pytest.mark.parametrize("kind", ["disk", "s3"])
def test_a_name_that_is_written_once_keeps_its_first_content(kind: str, stack: Any, tmp_path: Path) -> None:
    store: HistoryStore = (
        DiskStore(tmp_path) if kind == "disk" else s3_store(stack, f"once-{uuid.uuid4().hex[:8]}")
    )
    assert store.put_new("a.note", b"first")
    assert not store.put_new("a.note", b"second")
    assert b"".join(store.read("a.note")) == b"first"


async def test_the_running_service_reports_that_the_log_contradicts_what_it_published(
    log: Log, stack: Any, database: Any, tmp_path: Path, audit_key: Any
) -> None:
    await three_events(log)
    connection = await asyncpg.connect(database.url("audit"))
    async with running_here(stack, database, tmp_path, "audit", audit_key) as service:

        async def signed() -> Any:
            return await connection.fetchval("SELECT max(size) = 3 FROM audit.checkpoints")

        await service.until(signed)
        note = await connection.fetchval("SELECT note FROM audit.checkpoints")
        assert opened(note, note.split("\n")[0], audit_key.public).size == 3
        await as_owner(database, CHANGE, EMPTY)
        await log.append("registry", "x-1", "Happened", {})

        async def contradicted() -> Any:
            async with service.client() as client:
                answer = await client.get("/readyz")
                metrics = (await client.get("/metrics")).text
            return (
                answer.status_code == 503
                and "has a log checkpoint of 3" in answer.text
                and "regista_audit_contradicted 1.0" in metrics
            )

        await service.until(contradicted)
        reason = await connection.fetchval("SELECT reason FROM log.stopped")
        assert "has a log checkpoint of 3" in reason
        assert await connection.fetchval("SELECT count(*) FROM audit.checkpoints") == 0
    await connection.close()


def read_text(file: str) -> str:
    return Path(file).read_text("utf-8")


def write_text(file: str, text: str) -> None:
    Path(file).write_text(text, "utf-8")


async def test_an_auditor_keeps_checks_proves_and_witnesses_from_the_command_line(
    regista: Any, service: Running, auditor: str, log: Log, tmp_path: Path, database: Any, audit_key: Any
) -> None:
    await three_events(log)
    await indexed(service, auditor, log)
    kept, proof, own = str(tmp_path / "kept.note"), str(tmp_path / "event.json"), str(tmp_path / "own.json")
    key = json.loads((await regista("audit", "log-checkpoints", "--save", kept, "--json")).stdout)[
        "verifier_key"
    ]
    await regista("key", "generate", "witness.example/one", "--out", own)
    witness = ("witness", "--log-key", key, "--key", own, "--keep", str(tmp_path / "kept"), "--once")
    assert "cosigned: " in (await regista(*witness)).output
    await three_events(log)
    await indexed(service, auditor, log)
    assert "none of them changed" in (await regista("audit", "check", kept, "--key", key)).output
    await regista(*witness)
    await regista("audit", "log-checkpoints", "--save", kept)
    await regista("audit", "proof", "2", "--save", proof)
    assert (
        json.loads((await regista("audit", "verify-proof", proof, "--key", key, "--json")).stdout)[
            "leaf_index"
        ]
        == 2
    )
    forged = json.loads(read_text(proof)) | {"stored": "Zm9yZ2Vk"}
    write_text(proof, json.dumps(forged))
    await regista("audit", "verify-proof", proof, "--key", key, code=1)
    note = read_text(kept)
    size = opened(note, note.split("\n")[0], audit_key.public).size
    await as_owner(database, f"DELETE FROM audit.checkpoints WHERE size >= {size}")
    for command in (("audit", "check", kept), ("audit", "log-checkpoints", "--save", kept), witness):
        assert "events are missing" in (await regista(*command, code=1)).stderr
    assert read_text(kept) == note


async def test_services_that_append_refuse_while_the_log_is_stopped_and_go_on_when_it_is_whole_again(
    stack: Any, database: Any, start: Any, audit: Audit, audit_key: Any
) -> None:
    registry = start("registry", generate_signing_key("service:registry"))
    await registry.ready()
    await audit.connection.execute("INSERT INTO log.stopped (reason) VALUES ('3 events are missing.')")
    again = start("registry", generate_signing_key("service:registry"))

    for service in (registry, again):

        async def refuses(service: Running = service) -> bool:
            answer = await service.call("POST", "/v1/models", "rg_x_y", json={})
            ready = await service.call("GET", "/readyz", "")
            return answer.status_code == ready.status_code == 503 and "3 events are missing" in ready.text

        await service.until(refuses)
        assert (await service.call("POST", "/v1/models", "rg_x_y", json={})).json()["code"] == "log_stopped"
        assert (await service.call("GET", "/healthz", "")).status_code == 200
    other = await asyncpg.connect(database.url("registry"))
    assert await other.execute("DELETE FROM log.stopped") == "DELETE 0"
    await other.close()
    app = App("audit", Settings(database_url=database.url("audit")))
    task = asyncio.create_task(follow_log(app, audit_key))
    try:
        await until_true(lambda: audit.connection.fetchval("SELECT count(*) = 0 FROM log.stopped"))
        for service in (registry, again):
            await service.ready()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


KEEP_TREE = "UPDATE audit.sealed SET leaf = (SELECT e.leaf FROM log.events e WHERE e.seq = sealed.seq)"
GROWN_EDGE = "UPDATE audit.tree SET edge = decode(repeat('ab', 64), 'hex')"


@pytest.mark.parametrize("statements", [(GROWN_EDGE,), ("TRUNCATE audit.tiles", CHANGE, KEEP_TREE)])
async def test_a_tree_that_was_changed_in_part_is_not_signed(
    log: Log, audit: Audit, database: Any, audit_key: Any, tmp_path: Path, statements: Any
) -> None:
    """Only the edge; only leaves, with tiles that audit computes again from them."""
    await three_events(log)
    await signed_with(audit, audit_key, disk(tmp_path))
    await as_owner(database, *statements)
    await three_events(log)
    with pytest.raises(Contradicted):
        await signed_with(audit, audit_key, disk(tmp_path))
    assert await audit.connection.fetchval("SELECT max(size) FROM audit.checkpoints") == 3


async def test_a_forged_event_under_an_untouched_tree_is_never_proven(
    log: Log, audit: Audit, database: Any, audit_key: Any, tmp_path: Path
) -> None:
    """audit goes on to sign the tree that it published; the forged bytes are not in it, and are found."""
    await three_events(log)
    await signed_with(audit, audit_key, disk(tmp_path))
    await as_owner(database, CHANGE, KEEP_TREE)
    await three_events(log)
    assert await signed_with(audit, audit_key, disk(tmp_path)) == 6
    forged = await audit.connection.fetchval(
        "SELECT bytes FROM log.events WHERE stream = 'x-1' AND revision = 2"
    )
    row = await audit.connection.fetchrow("SELECT root, size FROM audit.checkpoints WHERE size = 6")
    proof = await tiles.heads_over(audit.connection, inclusion_ranges(1, 6))
    assert not verify_inclusion(leaf_hash(forged), 1, 6, proof, row["root"])
    while await index_writer.step(audit.connection, SealedPage(Cursor(2**62, 0), START, ())):
        pass
    assert not (await findings(database, audit_key))["I2-sealed"].holds
