"""The exported log as files: verified offline, written once, and each file whole or absent after a kill."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import asyncpg
import duckdb
import pytest
from minio.error import S3Error

from regista.exported_history import verify
from regista.wire.history import FOLDER
from services.audit import sealing
from services.audit.export import chunks, work
from services.audit.export.process import Exports
from services.audit.export.stores import DiskStore, HistoryStore, S3Store, StoreUnavailable
from services.audit.settings import AuditSettings
from services.local.s3 import BUCKET, HISTORY
from shared.foundation.postgres import connect_pool
from shared.foundation.s3 import S3Server
from shared.log import eventlog
from tests.integration.audit.conftest import Audit, Log

SMALL = 1 << 30


@pytest.fixture(params=["disk", "s3"])
def store(request: pytest.FixtureRequest, stack: Any, tmp_path: Path) -> HistoryStore:
    return DiskStore(tmp_path / "kept") if request.param == "disk" else s3_store(stack, uuid.uuid4().hex)


def s3_store(stack: Any, prefix: str) -> S3Store:
    return S3Store(S3Server(stack.s3.endpoint, "audit", stack.folder.secret("s3-audit")), HISTORY, prefix)


def copied(store: HistoryStore, folder: Path) -> Path:
    """What a reader downloads."""
    folder.mkdir(exist_ok=True)
    for name in store.names(""):
        (folder / name).write_bytes(b"".join(store.read(name)))
    return folder


@pytest.fixture
async def key(audit: Audit, audit_key: Any) -> str:
    return sealing.verifier((await sealing.head(audit.connection)).origin, audit_key)


async def happened(log: Log, count: int) -> None:
    for n in range(count):
        service = ("registry", "approval", "cleanup")[n % 3]
        await log.append(
            service,
            f"{service}-{n % 4}",
            f"Happened{n % 2}",
            {"n": n, "text": "ö"},
            reason="so" if n % 5 else "",
        )


async def planned(audit: Audit, leaves: int, *, everything: bool = False, size: int = SMALL) -> int:
    return await chunks.plan(audit.connection, leaves, size, everything=everything)


async def exported(audit: Audit, store: HistoryStore) -> int:
    exporter, count = work.Exporter(audit.connection, store), 0
    while await exporter.step():
        count += 1
    return count


def parquets(store: HistoryStore) -> list[str]:
    return [name for name in store.names("") if name.endswith(".parquet")]


async def test_whole_chunks_are_exported_and_the_rest_when_asked_for(
    log: Log, audit: Audit, store: HistoryStore, key: str, tmp_path: Path
) -> None:
    await happened(log, 25)
    await audit.catch_up()
    assert await planned(audit, 10) == await exported(audit, store) == 2
    assert await planned(audit, 10, everything=True) == await exported(audit, store) == 1
    await happened(log, 12)
    await audit.catch_up()
    assert await planned(audit, 10) == await exported(audit, store) == 1
    names = [f"{first:016d}-{last:016d}.parquet" for first, last in ((0, 9), (10, 19), (20, 24), (25, 34))]
    assert parquets(store) == names
    stored = sum(file.stat().st_size for file in copied(store, tmp_path / "sizes").glob("*.parquet"))
    assert await audit.connection.fetchval(chunks.EXPORTED_BYTES) == stored
    found = verify(copied(store, tmp_path / "copy"), [key])
    assert (found.holds, found.faults, found.events, found.leaves) == (True, [], 35, (0, 34))


async def test_leaves_after_the_newest_checkpoint_are_not_exported(
    log: Log, audit: Audit, store: HistoryStore
) -> None:
    await happened(log, 5)
    await audit.sealer.step(audit.connection)
    assert await planned(audit, 5, everything=True) == 0
    await audit.sealer.sign(audit.connection)
    await happened(log, 5)
    await audit.sealer.step(audit.connection)
    assert await planned(audit, 5, everything=True) == await exported(audit, store) == 1


async def test_a_chunk_is_closed_by_its_bytes_too(log: Log, audit: Audit, store: HistoryStore) -> None:
    for n in range(9):
        await log.append("registry", "registry-1", "Happened", {"n": n, "text": "x" * 10_000})
    await audit.catch_up()
    assert await planned(audit, 1_000, size=30_000) == await exported(audit, store) == 3
    assert parquets(store)[0] == f"{0:016d}-{2:016d}.parquet"


async def test_an_export_under_several_checkpoints_is_proven_by_the_first_that_covers_it(
    log: Log, audit: Audit, store, key: str, tmp_path: Path
) -> None:
    for count in (3, 4, 1, 9, 5):
        await happened(log, count)
        await audit.catch_up()
    await planned(audit, 5, everything=True)
    await exported(audit, store)
    found = verify(copied(store, tmp_path / "copy"), [key])
    assert (found.holds, found.faults, found.events) == (True, [], 22)
    assert found.log_checkpoint["size"] == 22


async def test_the_files_have_the_same_events_as_the_log(
    log: Log, audit: Audit, store: HistoryStore, tmp_path: Path
) -> None:
    await happened(log, 20)
    await eventlog.append(
        log.connections["cleanup"],
        "cleanup",
        [eventlog.Row("odd-1", 1, uuid.uuid4(), "Odd", 3, b"no envelope \xff")],
    )
    await audit.catch_up()
    await planned(audit, 8, everything=True)
    await exported(audit, store)
    copied(store, tmp_path / "copy")
    exported_rows = duckdb.sql(
        f"SELECT leaf_index, service, stream, revision, event_id, type, schema, bytes, leaf"
        f" FROM '{tmp_path}/copy/*.parquet' ORDER BY leaf_index"
    ).fetchall()
    logged = await audit.connection.fetch("""
        SELECT s.leaf_index, e.service, e.stream, e.revision, e.event_id::text, e.type, e.schema, e.bytes,
               e.leaf
        FROM audit.sealed s JOIN log.events e USING (service, stream, revision) ORDER BY 1""")
    assert exported_rows == [tuple(row) for row in logged]
    shape = duckdb.sql(f"DESCRIBE SELECT * FROM '{tmp_path}/copy/*.parquet'").fetchall()
    assert {row[1] for row in shape} == {"BIGINT", "VARCHAR", "TIMESTAMP WITH TIME ZONE", "BLOB"}
    read = duckdb.sql(
        f"SELECT epoch_us(recorded_at), actor_subject, data, reason FROM '{tmp_path}/copy/*.parquet'"
        " ORDER BY leaf_index"
    ).fetchall()
    assert read[0] == (1772323260000000, "ann", '{"n":0,"text":"ö"}', "")
    assert read[20] == (None, None, None, None)


async def test_exporting_again_writes_nothing_and_another_store_gets_the_same_bytes(
    log: Log, audit: Audit, tmp_path: Path
) -> None:
    await happened(log, 30)
    await audit.catch_up()
    await planned(audit, 10)
    first = DiskStore(tmp_path / "a")
    await exported(audit, first)
    files = sorted((tmp_path / "a" / FOLDER).iterdir())
    before = {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}
    assert await planned(audit, 10) == await exported(audit, first) == 0
    assert {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files} == before
    again = work.Exporter(audit.connection, DiskStore(tmp_path / "b"))
    for at in (0, 10, 20):
        await again._export(chunks.Chunk(at, at + 9, 30))
    assert [p.read_bytes() for p in sorted((tmp_path / "b" / FOLDER).iterdir())] == [
        p.read_bytes() for p in files
    ]


class Breaking:
    """A store that fails at one of its writes: before it or, worse, after it."""

    def __init__(self, inner: HistoryStore, at: int, *, after: bool) -> None:
        self._inner, self._left, self._after = inner, at, after
        self.uri, self.read, self.names = inner.uri, inner.read, inner.names

    def put(self, name: str, content: bytes) -> None:
        self._left -= 1
        if self._left >= 0 or self._after:
            self._inner.put(name, content)
        if self._left < 0:
            raise StoreUnavailable("cut off")


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("after", [False, True])
async def test_an_export_cut_off_at_any_write_goes_on_where_it_was(
    log: Log, audit: Audit, store, key: str, tmp_path: Path, at: int, after: bool
) -> None:
    await happened(log, 20)
    await audit.catch_up()
    await planned(audit, 10)
    with pytest.raises(StoreUnavailable):
        await exported(audit, Breaking(store, at, after=after))
    for name in (n for n in store.names("") if n.endswith(".json")):
        assert name.removesuffix("json") + "parquet" in store.names("")
    await exported(audit, store)
    found = verify(copied(store, tmp_path / "copy"), [key])
    assert (found.holds, found.events) == (True, 20)
    assert await audit.connection.fetchval("SELECT count(*) FROM audit.chunks WHERE manifest IS NULL") == 0


async def test_a_manifest_that_a_crash_left_without_its_row_is_taken_as_it_is(
    log: Log, audit: Audit, store: HistoryStore
) -> None:
    await happened(log, 10)
    await audit.catch_up()
    await planned(audit, 10)
    exporter = work.Exporter(audit.connection, store)
    await exporter._export(chunks.Chunk(0, 9, 10))
    closed = Breaking(store, 0, after=False)
    assert await exported(audit, closed) == 1
    stored = b"".join(store.read(f"{0:016d}-{9:016d}.json"))
    assert await audit.connection.fetchval("SELECT manifest FROM audit.chunks") == stored


async def test_two_exporters_do_no_harm(
    log: Log, audit: Audit, stack: Any, database: Any, key: str, tmp_path: Path
) -> None:
    await happened(log, 60)
    await audit.catch_up()
    settings = AuditSettings(database_url=database.url("audit"))
    store = DiskStore(tmp_path)

    async def one() -> None:
        connection = await asyncpg.connect(settings.database_url)
        try:
            await chunks.plan(connection, 5, SMALL, everything=True)
        finally:
            await connection.close()
        with contextlib.suppress(work.Busy):
            await work.export(settings, store)

    await asyncio.gather(*(one() for _ in range(4)))
    await work.export(settings, store)
    found = verify(tmp_path, [key])
    assert (found.holds, found.events, found.chunks) == (True, 60, 12)


def killed_behind(files: int, command: list[str], environment: dict[str, str], folder: Path) -> bool:
    """Starts an export and kills it when so many files are there; False when it ended first."""
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while len(list(folder.glob("*"))) < files:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(0.002) < 0
    child.kill()
    return child.wait() < 0


async def test_a_process_killed_again_and_again_ends_with_one_whole_history(
    log: Log, audit: Audit, database: Any, key: str, tmp_path: Path
) -> None:
    await happened(log, 60)
    await audit.catch_up()
    environment = {
        **os.environ,
        "REGISTA_DATABASE_URL": database.url("audit"),
        "REGISTA_HISTORY_DIR": str(tmp_path),
        "REGISTA_HISTORY_CHUNK_LEAVES": "4",
    }
    command = [sys.executable, "-m", "services.audit", "export"]
    killed = [
        await asyncio.to_thread(killed_behind, files, command, environment, tmp_path / FOLDER)
        for files in (1, 2, 3, 6, 11, 16)
    ]
    assert killed[0]
    await asyncio.to_thread(subprocess.run, [*command, "--all"], env=environment, check=True)
    found = verify(tmp_path, [key])
    assert (found.holds, found.faults, found.events) == (True, [], 60)


@pytest.mark.parametrize(
    ("words", "settings", "code", "message"),
    [
        (["--al"], {}, 1, "usage: python -m services.audit export"),
        ([], {"REGISTA_DATABASE_URL": ""}, 1, "REGISTA_DATABASE_URL"),
        ([], {"REGISTA_HISTORY_DIR": ""}, 1, "name a store"),
        (
            [],
            {"REGISTA_HISTORY_S3_ENDPOINT": "https://s3:8333"},
            1,
            "REGISTA_HISTORY_S3_ENDPOINT: .*without a scheme",
        ),
        ([], {}, 0, "Another process exports"),
    ],
)
async def test_an_export_by_hand_prints_why_it_cannot_run(
    audit: Audit,
    database: Any,
    tmp_path: Path,
    words: list[str],
    settings: dict[str, str],
    code: int,
    message: str,
) -> None:
    await audit.connection.execute("SELECT pg_advisory_lock($1)", chunks.WRITING)
    environment = {
        **os.environ,
        "REGISTA_DATABASE_URL": database.url("audit"),
        "REGISTA_HISTORY_DIR": str(tmp_path),
        **settings,
    }
    command = [sys.executable, "-m", "services.audit", "export", *words]
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert re.search(message, done.stderr + done.stdout)
    assert "Traceback" not in done.stderr


async def _forge_first_event(database: Any) -> None:
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute("ALTER TABLE log.events DISABLE TRIGGER append_only")
    await owner.execute("UPDATE log.events SET bytes = '{}' WHERE stream = 'registry-0' AND revision = 1")
    await owner.close()


async def test_an_event_that_was_changed_is_not_exported(
    log: Log, audit: Audit, store: HistoryStore, database: Any
) -> None:
    await happened(log, 10)
    await audit.catch_up()
    await _forge_first_event(database)
    await planned(audit, 10)
    with pytest.raises(work.LogChanged, match="registry-0 1"):
        await exported(audit, store)
    assert store.names("") == []


async def test_a_leaf_that_was_changed_with_its_event_does_not_fit_the_checkpoint(
    log: Log, audit: Audit, store: HistoryStore, database: Any
) -> None:
    await happened(log, 10)
    await audit.catch_up()
    await _forge_first_event(database)
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute("ALTER TABLE audit.sealed DISABLE TRIGGER append_only")
    await owner.execute(
        "UPDATE audit.sealed s SET leaf = e.leaf FROM log.events e"
        " WHERE e.stream = 'registry-0' AND e.revision = 1 AND s.event_id = e.event_id"
    )
    await owner.close()
    await planned(audit, 10)
    with pytest.raises(work.LogChanged, match="checkpoint 10"):
        await exported(audit, store)
    assert store.names("") == []


@pytest.mark.parametrize(
    "left", [f"{0:016d}-{4:016d}.json", f"{7:016d}-{99:016d}.parquet", f"{0:016d}-{9:016d}.json"]
)
async def test_nothing_is_written_over_history_of_another_log(
    log: Log, audit: Audit, store: HistoryStore, left: str
) -> None:
    await happened(log, 10)
    await audit.catch_up()
    store.put(left, b"another log's")
    await planned(audit, 10)
    with pytest.raises(work.HistoryDiffers, match=left):
        await exported(audit, store)
    assert store.names("") == [left]


@pytest.mark.parametrize(
    "order",
    [
        "DELETE FROM audit.chunks",
        "TRUNCATE audit.chunks",
        "UPDATE audit.chunks SET manifest = 'x'",
        "UPDATE audit.chunks SET last = 3",
    ],
)
async def test_exported_files_are_never_changed(log: Log, audit: Audit, tmp_path: Path, order: str) -> None:
    await happened(log, 5)
    await audit.catch_up()
    await planned(audit, 5)
    await exported(audit, DiskStore(tmp_path))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await audit.connection.execute(order)


async def test_planning_and_exporting_leave_no_transaction_open(
    log: Log, audit: Audit, database: Any, tmp_path: Path
) -> None:
    """A transaction with an id would hide each later event from all readers."""
    await happened(log, 20)
    await audit.catch_up()
    pool = await connect_pool(database.url("audit"), schemas=("audit",))
    running = (
        "SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL"
        " AND datname = current_database() AND pid <> pg_backend_pid()"
    )
    seen = []

    class Watching(DiskStore):
        def put(self, name: str, content: bytes) -> None:
            seen.append(name)
            super().put(name, content)

    await planned(audit, 5)
    exporter = work.Exporter(audit.connection, Watching(tmp_path))
    while await exporter.step():
        assert await pool.fetchval(running) == 0
    await pool.close()
    assert len(seen) == 8


@pytest.fixture
async def exports(log: Log, audit: Audit, database: Any, tmp_path: Path) -> Any:
    """What a replica runs beside a log of eight leaves in two chunks, with its pool.

    No process it starts would be one of ours.
    """
    await happened(log, 8)
    await audit.catch_up()
    await planned(audit, 4)
    settings = AuditSettings(
        database_url=database.url("audit"),
        history_dir=str(tmp_path / "kept"),
        history_chunk_leaves=4,
        history_every=1e-9,
    )
    async with asyncpg.create_pool(settings.database_url, min_size=1, max_size=2) as pool:
        yield Exports(settings), pool


@pytest.mark.parametrize(
    ("program", "message"),
    [("/bin/false", "ended with code 1 and without a message"), ("/no/such/python", "could be started")],
)
async def test_a_process_that_ends_without_a_message_or_never_starts_is_reported(
    exports: tuple[Exports, asyncpg.Pool], monkeypatch: pytest.MonkeyPatch, program: str, message: str
) -> None:
    replica, pool = exports
    monkeypatch.setattr(sys, "executable", program)
    await replica.step(pool)
    assert message in replica.failure


async def test_a_failure_is_cleared_when_another_replica_has_exported(
    exports: tuple[Exports, asyncpg.Pool], audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica, pool = exports
    monkeypatch.setattr(sys, "executable", "/bin/false")
    await replica.step(pool)
    assert replica.failure
    assert await exported(audit, DiskStore(tmp_path / "kept")) == 2
    await replica.step(pool)
    assert replica.failure == ""


async def test_no_process_is_started_while_that_of_another_replica_works(
    exports: tuple[Exports, asyncpg.Pool], audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica, pool = exports
    monkeypatch.setattr(sys, "executable", "/bin/false")  # would be reported as a failure
    await audit.connection.execute("SELECT pg_advisory_lock($1)", chunks.WRITING)
    await replica.step(pool)
    assert replica.failure == ""
    await audit.connection.execute("SELECT pg_advisory_unlock($1)", chunks.WRITING)
    await replica.step(pool)
    assert replica.failure


def test_audit_may_write_and_read_its_own_bucket_and_delete_nothing(stack: Any) -> None:
    store, name = s3_store(stack, uuid.uuid4().hex), f"{0:016d}-{4:016d}.parquet"
    store.put(name, b"kept")
    assert b"".join(store.read(name)) == b"kept"
    path = f"{store.uri.removeprefix(f's3://{HISTORY}/')}/{name}"
    for identity in ("audit", "stack"):
        with pytest.raises(S3Error, match="AccessDenied"):
            stack.s3.client(identity).remove_object(HISTORY, path)
    for other, bucket, key in (("audit", BUCKET, ".ready"), ("artifact", HISTORY, path)):
        with pytest.raises(S3Error, match="AccessDenied"):
            stack.s3.client(other).get_object(bucket, key)
    with pytest.raises(S3Error, match="AccessDenied"):
        stack.s3.client("audit").put_object(BUCKET, "a", BytesIO(b"x"), 1)
    assert b"".join(store.read(name)) == b"kept"


def test_a_half_written_file_of_a_killed_export_is_deleted_after_a_day(tmp_path: Path) -> None:
    aside = tmp_path / ".new"
    aside.mkdir()
    for name, age in (("old", 25 * 3600), ("fresh", 60)):
        (aside / name).write_bytes(b"half")
        os.utime(aside / name, (time.time() - age,) * 2)
    DiskStore(tmp_path).put("a", b"whole")
    assert [p.name for p in aside.iterdir()] == ["fresh"]


def test_an_unreachable_store_is_reported(tmp_path: Path) -> None:
    unreachable: Iterator[HistoryStore] = iter(
        [S3Store(S3Server("127.0.0.1:9", "audit", "secret"), "bucket"), DiskStore(tmp_path / "file" / "x")]
    )
    (tmp_path / "file").write_text("no folder")
    for store in unreachable:
        with pytest.raises(StoreUnavailable, match="cannot be used"):
            store.put("a", b"b")
