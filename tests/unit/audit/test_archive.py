"""The exported log, verified offline with public keys only: each change in it is found."""

from __future__ import annotations

import hashlib
import re
import sys
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from regista.errors import NotConfigured, NotFound
from regista.exported_history import verify
from regista.wire.checkpoint import Checkpoint, signed, verifier_key
from regista.wire.history import (
    FORMAT,
    BadHistory,
    Event,
    LogRow,
    Manifest,
    event,
    file_name,
    manifest_name,
    manifest_of,
)
from regista.wire.merkle import Tree, growth_proof
from services.audit.export.parquet import parquet
from shared.deciding.events import Actor, Envelope, encode

ORIGIN = "regista.log/test"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = verifier_key(ORIGIN, PRIVATE.public_key().public_bytes_raw())


def at(minutes: int) -> datetime:
    return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=minutes)


def events(count: int) -> list[Event]:
    rows = []
    for n in range(count):
        id_ = uuid.uuid5(uuid.NAMESPACE_URL, str(n))
        who = Actor("ann", "regista", "api-key:1", "bea" if n % 2 else None)
        envelope = Envelope(
            id_,
            "Happened",
            1,
            "thing-1",
            n + 1,
            at(n),
            who,
            msgspec.Raw(b'{"n":1}'),
            at(n) if n % 3 else None,
            "why",
            "c",
            "",
            "",
        )
        rows.append(event(LogRow(n, "registry", "thing-1", n + 1, str(id_), "Happened", 1), encode(envelope)))
    return rows


def chunk(
    folder: Path,
    rows: Sequence[Event],
    first: int,
    last: int,
    *,
    write: Sequence[Event] | None = None,
    **changed: Any,
) -> Manifest:
    """Writes leaves `first` to `last` of a log of `rows`; `write`: other rows into the file; `changed`:
    fields of the manifest.
    """
    before = Tree().append(row.leaf for row in rows[:first])
    tree = before.append(row.leaf for row in rows[first : last + 1])
    whole = Tree().append(row.leaf for row in rows)
    content = parquet([list(write if write is not None else rows[first : last + 1])], ORIGIN)
    manifest = Manifest(
        FORMAT,
        ORIGIN,
        file_name(first, last),
        len(content),
        hashlib.sha256(content).hexdigest(),
        last - first + 1,
        first,
        last,
        [h.hex() for h in before.edge],
        tree.root.hex(),
        len(rows),
        signed(Checkpoint(ORIGIN, len(rows), whole.root), ORIGIN, PRIVATE),
        [h.hex() for h in growth_proof(tree, [row.leaf for row in rows[last + 1 :]])],
    )
    manifest = msgspec.structs.replace(manifest, **changed)
    (folder / manifest.file).write_bytes(content)
    (folder / manifest_name(first, last)).write_bytes(msgspec.json.encode(manifest))
    return manifest


@pytest.fixture
def history(tmp_path: Path) -> Path:
    rows = events(23)
    for first, last in ((0, 9), (10, 19), (20, 22)):
        chunk(tmp_path, rows, first, last)
    return tmp_path


def test_an_unbroken_history_holds(history: Path) -> None:
    found = verify(history, [KEY])
    assert (found.holds, found.faults, found.events, found.chunks, found.leaves) == (True, [], 23, 3, (0, 22))
    assert found.log_checkpoint["size"] == 23


def test_of_several_keys_the_one_that_signed_is_found(history: Path) -> None:
    assert verify(history, [verifier_key(ORIGIN, bytes(32)), KEY]).holds


@pytest.mark.parametrize(
    "key",
    [
        verifier_key(ORIGIN, bytes(32)),
        verifier_key("another/log", PRIVATE.public_key().public_bytes_raw()),
        "no key",
    ],
)
def test_a_checkpoint_that_the_key_did_not_sign_proves_nothing(history: Path, key: str) -> None:
    found = verify(history, [key])
    assert (found.holds, found.chunks, len(found.faults)) == (False, 0, 3)


def test_a_folder_without_history_proves_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no folder below .* has files of an exported log") as missing:
        verify(tmp_path, [KEY])
    assert missing.value.code == "no_history"


def changed_row(**changes: Any) -> Callable[[list[Event]], list[Event]]:
    return lambda rows: [*rows[:4], rows[4]._replace(**changes), *rows[5:]]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (changed_row(bytes=b"{}"), "leaf 4"),
        (changed_row(leaf=bytes(32)), "leaf 4 .*leaf"),
        (changed_row(stream="thing-2"), "stream, revision"),
        (changed_row(revision=99), "stream, revision"),
        (changed_row(event_id="other"), "event_id"),
        (changed_row(type="Forged"), "type"),
        (changed_row(schema=2), "schema"),
        (changed_row(recorded_at=5), "recorded_at"),
        (changed_row(occurred_at=5), "occurred_at"),
        (changed_row(actor_subject="mallory"), "actor_subject"),
        (changed_row(on_behalf_of="mallory"), "on_behalf_of"),
        (changed_row(reason="because"), "reason"),
        (changed_row(data='{"n":2}'), "data"),
        (changed_row(leaf_index=7), "leaf 4 is missing"),
        (lambda rows: rows[:-1], "ends before leaf 9"),
        (lambda rows: [*rows, rows[-1]], "leaf 10|do not give"),
        (lambda rows: [rows[1], rows[0], *rows[2:]], "leaf 0"),
    ],
)
def test_a_row_that_differs_from_what_was_sealed_is_found_even_if_its_manifest_fits_the_file(
    history: Path, change: Callable[[list[Event]], list[Event]], named: str
) -> None:
    rows = events(23)
    chunk(history, rows, 0, 9, write=change(rows[:10]))
    found = verify(history, [KEY])
    assert not found.holds
    assert re.search(named, found.faults[0]), found.faults


def test_bytes_and_leaf_changed_together_do_not_give_the_root(history: Path) -> None:
    rows = events(23)
    forged = event(LogRow(*rows[4][:7]), rows[4].bytes.replace(b'"why"', b'"not"'))
    chunk(history, rows, 0, 9, write=[*rows[:4], forged, *rows[5:10]])
    assert "do not give the root" in verify(history, [KEY]).faults[0]


def test_a_whole_history_made_up_is_not_what_was_signed(history: Path, tmp_path: Path) -> None:
    rows = events(23)
    forged = [*rows[:4], event(LogRow(*rows[4][:7]), rows[4].bytes.replace(b'"why"', b'"not"')), *rows[5:]]
    note = manifest_of((history / manifest_name(0, 9)).read_bytes()).checkpoint
    chunk(history, forged, 0, 9, checkpoint=note)
    assert "of another log" in verify(history, [KEY]).faults[0]


def test_a_file_that_is_not_the_one_of_its_manifest_is_found(history: Path) -> None:
    with (history / file_name(0, 9)).open("ab") as file:
        file.write(b"x")
    assert "not the file of its manifest" in verify(history, [KEY]).faults[0]


@pytest.mark.parametrize("content", [b"", b"no parquet at all", b"PAR1" + bytes(40) + b"PAR1"])
def test_a_file_that_is_no_parquet_is_reported_and_raises_nothing(history: Path, content: bytes) -> None:
    rows = events(23)
    chunk(history, rows, 0, 9, size=len(content), sha256=hashlib.sha256(content).hexdigest())
    (history / file_name(0, 9)).write_bytes(content)
    assert "cannot be read" in verify(history, [KEY]).faults[0]


def test_a_file_with_other_columns_is_refused(history: Path) -> None:
    path = history / file_name(0, 9)
    duckdb.sql(
        f"COPY (SELECT *, 1 AS more FROM '{history / file_name(10, 19)}') TO '{path}' (FORMAT parquet)"
    )
    content = path.read_bytes()
    chunk(history, events(23), 0, 9, size=len(content), sha256=hashlib.sha256(content).hexdigest())
    path.write_bytes(content)
    assert "columns" in verify(history, [KEY]).faults[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": 9},
        {"file": "../../etc/passwd"},
        {"sealed": 5},
        {"format": "regista.history.v2"},
        {"edge": ["00" * 32]},
        {"edge": ["zz"]},
        {"root": "00" * 32},
        {"root": ""},
        {"proof": []},
        {"proof": ["00" * 31]},
        {"origin": "another/log"},
        {"sealed": 24},
        {"checkpoint": ""},
    ],
)
def test_a_manifest_that_was_changed_is_found(history: Path, changes: dict[str, Any]) -> None:
    name = history / manifest_name(0, 9)
    manifest = msgspec.structs.replace(manifest_of(name.read_bytes()), **changes)
    name.write_bytes(msgspec.json.encode(manifest))
    assert len(verify(history, [KEY]).faults) == 1


@pytest.mark.parametrize("text", [b"", b"{}", b"\xff", b"[]"])
def test_a_file_that_is_no_manifest_is_reported(history: Path, text: bytes) -> None:
    (history / manifest_name(0, 9)).write_bytes(text)
    assert "no manifest" in verify(history, [KEY]).faults[0]


def test_a_file_that_is_missing_between_others_is_reported(history: Path) -> None:
    (history / manifest_name(10, 19)).unlink()
    (history / file_name(10, 19)).unlink()
    found = verify(history, [KEY])
    assert (found.holds, found.gaps, found.events) == (False, [(10, 19)], 13)


def test_a_file_without_manifest_is_not_taken_for_history(history: Path) -> None:
    (history / manifest_name(20, 22)).unlink()
    found = verify(history, [KEY])
    assert (found.holds, found.unsealed, found.events) == (False, [file_name(20, 22)], 20)


@pytest.mark.parametrize(
    "name", ["zzz.parquet", ".parquet", f"{5:016d}-{7:016d}.parquet.parquet", "more.PARQUET"]
)
def test_a_file_that_queries_read_and_no_manifest_can_name_is_reported(history: Path, name: str) -> None:
    (history / name).write_bytes(parquet([events(3)], ORIGIN))
    found = verify(history, [KEY])
    assert (found.holds, found.unsealed, found.events) == (False, [name], 23)


def test_other_files_beside_history_are_nobodys_business(history: Path) -> None:
    (history / "README.txt").write_text("a copy of March")
    assert verify(history, [KEY]).holds


def test_a_manifest_without_its_file_is_reported(history: Path) -> None:
    (history / file_name(20, 22)).unlink()
    found = verify(history, [KEY])
    assert not found.holds
    assert found.faults[0].startswith(f"{file_name(20, 22)} is missing: copy it again")


def test_leaves_that_are_in_two_files_are_reported(history: Path) -> None:
    chunk(history, events(23), 15, 21)
    assert any("an earlier file holds" in fault for fault in verify(history, [KEY]).faults)


def test_events_that_are_no_envelope_have_a_row_all_the_same(tmp_path: Path) -> None:
    rows = [
        event(LogRow(n, "registry", "odd-1", n + 1, "id", "T", 1), stored)
        for n, stored in enumerate((b"", b"\xff\xfe", b'{"a":1}', b"[" * 100_000))
    ]
    assert all(row.recorded_at is None and row.data is None for row in rows)
    chunk(tmp_path, rows, 0, 3)
    assert verify(tmp_path, [KEY]).holds


def test_a_moment_before_1970_and_microseconds_are_kept(tmp_path: Path) -> None:
    stored = (
        b'{"id":"a","type":"T","schema":1,"stream":"s-1","revision":1,'
        b'"recorded_at":"1969-12-31T23:59:59.000001Z","actor":{"subject":"x"},"data":null}'
    )
    row = event(LogRow(0, "registry", "s-1", 1, "a", "T", 1), stored)
    assert (row.recorded_at, row.data) == (-999_999, "null")
    chunk(tmp_path, [row], 0, 0)
    assert verify(tmp_path, [KEY]).holds


def test_without_duckdb_the_error_names_what_to_install(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(NotConfigured, match=r"regista\[history\]"):
        verify(history, [KEY])


def test_a_manifest_that_names_another_file_is_refused() -> None:
    with pytest.raises(BadHistory):
        manifest_of(msgspec.json.encode({"format": FORMAT}))
