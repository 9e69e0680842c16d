"""The exported files are compared with the log's Merkle tree: what only they have, and what is damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from regista.wire.history import FOLDER, file_name, manifest_name
from services.audit.export import chunks, work
from services.audit.export.compared import OfHistory, compare
from services.audit.export.stores import DiskStore
from tests.integration.audit.conftest import Audit, Log

pytestmark = pytest.mark.servers


@pytest.fixture
async def store(log: Log, audit: Audit, tmp_path: Path) -> DiskStore:
    """A store with three files of ten leaves."""
    await happened(log, audit, 30)
    made = DiskStore(tmp_path / "kept")
    await chunks.plan(audit.connection, 10, 1 << 30, everything=False)
    exporter = work.Exporter(audit.connection, made)
    while await exporter.step():
        pass
    return made


async def happened(log: Log, audit: Audit, count: int) -> None:
    for n in range(count):
        await log.append("registry", f"registry-{n % 4}", "Happened", {"n": n})
    await audit.catch_up()


def file(tmp_path: Path, first: int, suffix: str) -> Path:
    return next((tmp_path / "kept" / FOLDER).glob(f"{first:016d}-*.{suffix}"))


def with_fields(path: Path, **fields: Any) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(path.read_bytes()) | fields)


def changed(path: Path, **fields: Any) -> None:
    content = with_fields(path, **fields)
    path.chmod(0o644)
    path.write_bytes(content)


async def compared(audit: Audit, store: DiskStore) -> OfHistory:
    return await compare(audit.connection, store, lambda _: None)


async def test_whole_files_of_this_log_differ_in_nothing(audit: Audit, store: DiskStore) -> None:
    found = await compared(audit, store)
    assert (found.files, found.leaves, found.lost, found.damaged) == (3, 30, [], [])


async def test_a_log_that_lacks_exported_events_has_lost_them(
    audit: Audit, store: DiskStore, tmp_path: Path
) -> None:
    """As after a restore to an earlier time: the store has a file of later leaves."""
    more = {"first": 30, "last": 39, "file": file_name(30, 39), "sealed": 40}
    store.put(manifest_name(30, 39), with_fields(file(tmp_path, 20, "json"), **more))
    store.put(file_name(30, 39), file(tmp_path, 20, "parquet").read_bytes())
    assert (await compared(audit, store)).lost == ["leaves 30 to 39 are exported; the log has sealed 30"]


async def test_other_events_than_the_exported_ones_are_found_by_the_root(
    audit: Audit, store: DiskStore, tmp_path: Path
) -> None:
    changed(file(tmp_path, 10, "json"), root="00" * 32)
    assert [line.partition(":")[0] for line in (await compared(audit, store)).lost] == ["leaves up to 19"]


async def test_a_missing_file_or_manifest_and_changed_bytes_are_named(
    audit: Audit, store: DiskStore, tmp_path: Path
) -> None:
    file(tmp_path, 0, "parquet").unlink()
    written = file(tmp_path, 10, "parquet")
    written.chmod(0o644)
    written.write_bytes(b"x" + written.read_bytes()[1:])
    for suffix in ("json", "parquet"):
        file(tmp_path, 20, suffix).unlink()
    found = await compared(audit, store)
    assert found.lost == []
    assert [line.partition("-")[0] for line in found.damaged] == [f"{n:016d}" for n in (0, 10, 20)]


async def test_a_file_of_an_export_that_was_cut_off_is_no_damage(
    audit: Audit, log: Log, store: DiskStore
) -> None:
    await happened(log, audit, 10)
    await chunks.plan(audit.connection, 10, 1 << 30, everything=False)
    store.put(file_name(30, 39), b"half")
    assert (await compared(audit, store)).damaged == []


async def test_files_of_another_log_are_named(audit: Audit, store: DiskStore, tmp_path: Path) -> None:
    changed(file(tmp_path, 0, "json"), origin="regista/elsewhere")
    (line,) = (await compared(audit, store)).damaged
    assert "belongs to the log" in line
