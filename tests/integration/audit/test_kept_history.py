"""An exported log that was cut off at its end is found out by a log checkpoint that was kept elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from regista.errors import Invalid, NotFound
from regista.exported_history import verify
from regista.wire.checkpoint import Checkpoint, signed
from services.audit import sealing
from services.audit.export.stores import DiskStore
from tests.integration.audit.conftest import Audit, Log
from tests.integration.audit.test_history import exported, happened, planned


@pytest.fixture
async def key(audit: Audit, audit_key: Any) -> str:
    return sealing.verifier((await sealing.head(audit.connection)).origin, audit_key)


async def note_of(audit: Audit) -> str:
    note: str = await audit.connection.fetchval(
        "SELECT note FROM audit.checkpoints ORDER BY size DESC LIMIT 1"
    )
    return note


async def test_the_end_of_an_export_is_compared_with_a_kept_checkpoint(
    log: Log, audit: Audit, audit_key: Any, key: str, tmp_path: Path
) -> None:
    kept = []
    for count in (7, 6, 8):
        await happened(log, count)
        await audit.catch_up()
        kept.append(await note_of(audit))
    await planned(audit, 10, everything=True)
    await exported(audit, DiskStore(tmp_path))
    whole = verify(tmp_path, [key])
    assert whole.holds
    assert whole.until.startswith("2026-03-01T00:21")
    for note in kept:
        assert verify(tmp_path, [key], kept=note).holds
    origin = key.split("+", maxsplit=1)[0]
    other = signed(Checkpoint(origin, 13, bytes(32)), origin, audit_key.private)
    assert any("of another log" in fault for fault in verify(tmp_path, [key], kept=other).faults)

    for name in ("0000000000000020-0000000000000020.json", "0000000000000020-0000000000000020.parquet"):
        (tmp_path / "history/v1" / name).unlink()
    cut = verify(tmp_path, [key])
    assert cut.holds  # nothing in the files shows that the end is missing
    assert cut.until < whole.until
    assert verify(tmp_path, [key], kept=kept[1]).holds
    found = verify(tmp_path, [key], kept=kept[2])
    assert not found.holds
    assert "the end is missing" in found.faults[0]
    with pytest.raises(Invalid):
        verify(tmp_path, [key], kept="nonsense")


async def test_the_folder_of_the_files_is_found_below_the_one_named(
    log: Log, audit: Audit, key: str, tmp_path: Path
) -> None:
    await happened(log, 3)
    await audit.catch_up()
    await planned(audit, 3)
    await exported(audit, DiskStore(tmp_path / "copies/monday"))
    for folder in ("", "copies", "copies/monday", "copies/monday/history", "copies/monday/history/v1"):
        assert verify(tmp_path / folder, [key]).events == 3
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound):
        verify(tmp_path / "empty", [key])
    (tmp_path / "copies/monday/history/v1").rename(tmp_path / "first")
    (tmp_path / "second").mkdir()
    for file in (tmp_path / "first").iterdir():
        (tmp_path / "second" / file.name).write_bytes(file.read_bytes())
    with pytest.raises(Invalid, match="several_histories"):
        verify(tmp_path, [key])
