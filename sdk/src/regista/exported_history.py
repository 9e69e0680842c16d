"""Verify an exported log on this machine.

Needs `pip install 'regista[history]'`, no service, and trusts none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regista.errors import NotConfigured
from regista.files import hash_file
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

    `faults` and `gaps` are empty when it is one unbroken log; leaves are counted from 0. `checkpoint`: leaves
    and root of the newest verified checkpoint. `unsealed`: Parquet files without a manifest; nothing proves
    them, and a query over the folder reads them, too.
    """

    chunks: int = 0
    events: int = 0
    leaves: tuple[int, int] | None = None
    checkpoint: dict[str, Any] = field(default_factory=dict)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    unsealed: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Return whether every file is proven and none is missing between them."""
        return self.chunks > 0 and not (self.gaps or self.faults or self.unsealed)


def verify(folder: Path, keys: Sequence[str], progress: Callable[[str], None] = lambda _: None) -> Verified:
    """Verify every chunk below `folder`.

    It compares file and manifest, rows and bytes, bytes and leaves, leaves and a signed checkpoint.
    `keys`: the verifier_key of `regista audit checkpoints`, kept where the log's operators cannot change it.
    `progress` gets each file's name. Raises NotConfigured without DuckDB.
    """
    duckdb = _duckdb()
    found, end, edge = Verified(), None, Tree()
    base = folder / FOLDER if (folder / FOLDER).is_dir() else folder
    names = {path.name for path in base.iterdir()}
    manifests = sorted(n for n in names if n.endswith(".json") and leaves_of_name(n) is not None)
    proving = {n.removesuffix("json") + "parquet" for n in manifests}
    found.unsealed = sorted(n for n in names if n.casefold().endswith(".parquet") and n not in proving)
    for name in manifests:
        progress(name)
        try:
            manifest = manifest_of((base / name).read_bytes())
            _follows(manifest, end, edge)
            tree = _chunk(duckdb, base, manifest, keys, found)
        except (BadHistory, OSError) as e:
            found.faults.append(
                f"{name}: {e}" if isinstance(e, OSError) or name[:33] not in str(e) else str(e)
            )
            continue
        if manifest.first != (end or 0):
            found.gaps.append((end or 0, manifest.first - 1))
        found.leaves = ((found.leaves or (manifest.first, 0))[0], manifest.last)
        end, edge = manifest.last + 1, tree
    return found


def _follows(manifest: Manifest, end: int | None, tree: Tree) -> None:
    if end is not None and manifest.first < end:
        raise BadHistory(f"{manifest.file}: an earlier file holds its leaves, too")
    if end is not None and manifest.first == end and [h.hex() for h in tree.edge] != manifest.edge:
        raise BadHistory(f"{manifest.file}: it does not continue where the file before ends")


def _chunk(duckdb: Any, base: Path, manifest: Manifest, keys: Sequence[str], found: Verified) -> Tree:
    path = base / manifest.file
    if hash_file(path) != (manifest.sha256, manifest.size):
        raise BadHistory(f"{manifest.file}: it is not the file of its manifest")
    tree, checkpoint = check_seal(manifest, check_events(manifest, _rows(duckdb, path)), keys)
    found.chunks += 1
    found.events += manifest.rows
    if checkpoint.size >= found.checkpoint.get("size", 0):
        found.checkpoint = {
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "root": checkpoint.root.hex(),
        }
    return tree


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
