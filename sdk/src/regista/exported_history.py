"""Verify an exported log on this machine.

Needs `pip install 'regista[history]'`, no service, and trusts none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from regista.errors import Invalid, NotConfigured, NotFound
from regista.files import hash_file
from regista.kept_checkpoints import read
from regista.wire.checkpoint import Checkpoint
from regista.wire.history import (
    COLUMNS,
    FOLDER,
    BadHistory,
    Event,
    Manifest,
    check_events,
    check_seal,
    leaves_of_name,
    manifest_of,
)
from regista.wire.merkle import Tree

ROWS = 5_000
_TYPES = {"int64": "BIGINT", "text": "VARCHAR", "moment": "TIMESTAMP WITH TIME ZONE", "binary": "BLOB"}


@dataclass(slots=True)
class Verified:
    """What a folder holds.

    `faults` and `gaps` are empty when it is one unbroken log; leaves are counted from 0. `log_checkpoint`:
    leaves and root of the newest verified log checkpoint. `unsealed`: Parquet files without a manifest;
    nothing proves them, and a query over the folder reads them, too. `until`: when the last event was
    recorded (RFC 3339); what happened later is not in the files. `kept`: the size of the log checkpoint with
    which they were compared.
    """

    chunks: int = 0
    events: int = 0
    leaves: tuple[int, int] | None = None
    log_checkpoint: dict[str, Any] = field(default_factory=dict)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    unsealed: list[str] = field(default_factory=list)
    until: str = ""
    kept: int | None = None

    @property
    def holds(self) -> bool:
        """Return whether every file is proven and none is missing between them."""
        return self.chunks > 0 and not (self.gaps or self.faults or self.unsealed)


def verify(
    folder: Path,
    keys: Sequence[str],
    progress: Callable[[str], None] = lambda _: None,
    kept: str = "",
) -> Verified:
    """Verify every chunk in the folder of files that is `folder` or below it.

    It compares file and manifest, rows and bytes, bytes and leaves, leaves and a signed log checkpoint.
    `keys`: the verifier_key of `regista audit log-checkpoints`, kept where the log's operators cannot change
    it. `progress` gets each file's name. `kept`: a log checkpoint kept elsewhere (a signed note); the files
    must continue to it at least, with its root. Raises NotConfigured without DuckDB, NotFound when no folder
    has manifests, Invalid when several have, or `kept` is not signed by one of `keys`.
    """
    duckdb = _duckdb()
    checkpoint = _kept(kept, keys) if kept else None
    found, end, edge = Verified(kept=checkpoint.size if checkpoint else None), None, Tree()
    base = _base(folder)
    names = {path.name for path in base.iterdir()}
    manifests = sorted(n for n in names if n.endswith(".json") and leaves_of_name(n) is not None)
    proving = {n.removesuffix("json") + "parquet" for n in manifests}
    found.unsealed = sorted(n for n in names if n.casefold().endswith(".parquet") and n not in proving)
    for name in manifests:
        progress(name)
        try:
            manifest = manifest_of((base / name).read_bytes())
            _follows(manifest, end, edge)
            tree = _chunk(duckdb, base, manifest, keys, found, checkpoint)
        except (BadHistory, OSError) as e:
            found.faults.append(_fault(base / name, e))
            continue
        if manifest.first != (end or 0):
            found.gaps.append((end or 0, manifest.first - 1))
        found.leaves = ((found.leaves or (manifest.first, 0))[0], manifest.last)
        end, edge = manifest.last + 1, tree
    if checkpoint and checkpoint.size > (end or 0):
        found.faults.append(
            f"the files end with leaf {(end or 0) - 1}, and the log checkpoint kept covers {checkpoint.size}"
            " events: the end is missing"
        )
    return found


def _fault(path: Path, error: BadHistory | OSError) -> str:
    """Return what is wrong with a manifest or its file, and what to do about one that cannot be read."""
    if isinstance(error, BadHistory):
        return str(error) if path.name[:33] in str(error) else f"{path.name}: {error}"
    file = Path(error.filename or path).name
    if isinstance(error, FileNotFoundError):
        return (
            f"{file} is missing: copy it again (`regista history export --to {path.parent}`), or take it "
            "from a copy of the bucket"
        )
    return f"{file} cannot be read ({error.strerror or error}): allow it, or copy the file again"


def _base(folder: Path) -> Path:
    """Return the one folder, `folder` or below it, that has manifests."""
    for base in (folder / FOLDER, folder):
        if base.is_dir() and _has_files(base):
            return base
    below = sorted({path.parent for path in folder.rglob("*.json") if leaves_of_name(path.name) is not None})
    if len(below) > 1:
        raise Invalid(
            "several_histories",
            f"several folders below {folder} have files of an exported log: {', '.join(map(str, below[:5]))}",
            advice="Name one of them.",
        )
    if not below:
        raise NotFound(
            "no_history",
            f"no folder below {folder} has files of an exported log (0000…-0000….json beside .parquet)",
            advice=f"Export the log there: `regista history export --all --to {folder}`; or name a copy of "
            "the bucket.",
        )
    return below[0]


def _has_files(base: Path) -> bool:
    names = [path.name for path in base.iterdir()]
    return any(leaves_of_name(name) is not None or name.casefold().endswith(".parquet") for name in names)


def _kept(note: str, keys: Sequence[str]) -> Checkpoint:
    faults = list[Invalid]()
    for key in keys:
        try:
            return read(note, key).checkpoint
        except Invalid as fault:
            faults.append(fault)
    raise faults[0]


def _follows(manifest: Manifest, end: int | None, tree: Tree) -> None:
    if end is not None and manifest.first < end:
        raise BadHistory(f"{manifest.file}: an earlier file holds its leaves, too")
    if end is not None and manifest.first == end and [h.hex() for h in tree.edge] != manifest.edge:
        raise BadHistory(f"{manifest.file}: it does not continue where the file before ends")


def _chunk(
    duckdb: Any,
    base: Path,
    manifest: Manifest,
    keys: Sequence[str],
    found: Verified,
    kept: Checkpoint | None,
) -> Tree:
    path = base / manifest.file
    if hash_file(path) != (manifest.sha256, manifest.size):
        raise BadHistory(f"{manifest.file}: it is not the file of its manifest")
    leaves, last = list[bytes](), list[Event]()
    for leaf in check_events(manifest, _last_of(_rows(duckdb, path), last)):
        leaves.append(leaf)
    tree, checkpoint = check_seal(manifest, leaves, keys)
    if kept and manifest.first < kept.size <= manifest.last + 1:
        before = Tree(manifest.first, tuple(bytes.fromhex(h) for h in manifest.edge))
        at_kept = before.append(leaves[: kept.size - manifest.first])
        if (manifest.origin, at_kept.root) != (kept.origin, kept.root):
            raise BadHistory(f"{manifest.file}: the log checkpoint kept is of another log")
    found.until = _moment(last[-1].recorded_at) or found.until
    found.chunks += 1
    found.events += manifest.rows
    if checkpoint.size >= found.log_checkpoint.get("size", 0):
        found.log_checkpoint = {
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "root": checkpoint.root.hex(),
        }
    return tree


def _last_of(rows: Iterator[Event], last: list[Event]) -> Iterator[Event]:
    """Yield the rows; `last` has the newest."""
    for row in rows:
        last[:] = [row]
        yield row


def _moment(microseconds: int | None) -> str:
    if microseconds is None:
        return ""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).isoformat()


def _rows(duckdb: Any, path: Path) -> Iterator[Event]:
    """Yield the rows in the file's order. Raises BadHistory for a file that is no part of an exported log."""
    picked = ", ".join(
        f'epoch_us("{name}")' if kind == "moment" else f'"{name}"' for name, kind, _ in COLUMNS
    )
    try:
        with duckdb.connect(
            config={
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "threads": "1",
            }
        ) as connection:
            shape = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
            if [(row[0], row[1]) for row in shape] != [(name, _TYPES[kind]) for name, kind, _ in COLUMNS]:
                raise BadHistory(f"{path.name}: its columns are not those of an exported log")
            reading = connection.execute(f"SELECT {picked} FROM read_parquet(?)", [str(path)])
            while rows := reading.fetchmany(ROWS):
                yield from (Event(*row) for row in rows)
    except duckdb.Error as e:
        raise BadHistory(f"{path.name}: it cannot be read ({e})") from e


def _duckdb() -> Any:
    try:
        import duckdb  # noqa: PLC0415 - an extra, loaded when used
    except ImportError:
        raise NotConfigured(
            "duckdb_missing",
            "verifying an exported log needs `pip install 'regista[history]'`",
            advice="Install it, then repeat.",
        ) from None
    return duckdb
