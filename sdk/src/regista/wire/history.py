"""Describe and verify the exported log: chunks, their manifests and signed checkpoints. Pure.

A chunk holds the events of consecutive leaves as Parquet; its manifest names the leaves and the checkpoint
that covers them. `bytes` is the truth: a verifier reads every other column but `service` and `leaf_index`
from it again; the tree proves `leaf_index`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from regista.wire.checkpoint import BadCheckpoint, Checkpoint, opened, parsed_key
from regista.wire.merkle import Tree, leaf_hash, verify_consistency

FORMAT = "regista.history.v1"
FOLDER = "history/v1"
"""Where files and manifests are below a bucket or a folder."""
_NAME = re.compile(r"(?P<first>\d{16})-(?P<last>\d{16})\.(?P<kind>parquet|json)")

COLUMNS: tuple[tuple[str, str, bool], ...] = (
    ("leaf_index", "int64", False),
    ("service", "text", False),
    ("stream", "text", False),
    ("revision", "int64", False),
    ("event_id", "text", False),
    ("type", "text", False),
    ("schema", "int64", False),
    ("recorded_at", "moment", True),
    ("occurred_at", "moment", True),
    ("actor_subject", "text", True),
    ("actor_issuer", "text", True),
    ("actor_method", "text", True),
    ("on_behalf_of", "text", True),
    ("reason", "text", True),
    ("correlation_id", "text", True),
    ("causation_id", "text", True),
    ("trace", "text", True),
    ("data", "text", True),
    ("bytes", "binary", False),
    ("leaf", "binary", False),
)
"""Name, kind and whether it may be null.

`moment` is microseconds since 1970 in UTC. Columns that may be null are null where `bytes` are no envelope.
"""


class BadHistory(ValueError):  # noqa: N818
    """No signed checkpoint covers the files as they are; the message states where. Trust nothing in them."""


Stored = bytes  # `bytes` is also the name of a column


class Event(NamedTuple):
    """One row, in the order of COLUMNS."""

    leaf_index: int
    service: str
    stream: str
    revision: int
    event_id: str
    type: str
    schema: int
    recorded_at: int | None
    occurred_at: int | None
    actor_subject: str | None
    actor_issuer: str | None
    actor_method: str | None
    on_behalf_of: str | None
    reason: str | None
    correlation_id: str | None
    causation_id: str | None
    trace: str | None
    data: str | None
    bytes: Stored
    leaf: Stored


class _Actor(msgspec.Struct, frozen=True):
    subject: str
    issuer: str = "regista"
    method: str = "service"
    on_behalf_of: str | None = None


class _Envelope(msgspec.Struct, frozen=True):
    id: str
    type: str
    schema: int
    stream: str
    revision: int
    recorded_at: datetime
    actor: _Actor
    data: msgspec.Raw
    occurred_at: datetime | None = None
    reason: str = ""
    correlation_id: str = ""
    causation_id: str = ""
    trace: str = ""


_envelopes = msgspec.json.Decoder(_Envelope)


class LogRow(NamedTuple):
    """The columns of an event besides its bytes, as the log stores them."""

    leaf_index: int
    service: str
    stream: str
    revision: int
    event_id: str
    type: str
    schema: int


def event(row: LogRow, stored: bytes) -> Event:
    """Return the row of an event. Bytes that are no envelope have a row, too: they were sealed."""
    return Event._make((*row, *(_columns(_read(stored)) or (None,) * 11), stored, leaf_hash(stored)))


def _read(stored: bytes) -> _Envelope | None:
    try:
        return _envelopes.decode(stored)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _columns(e: _Envelope | None) -> tuple[Any, ...] | None:
    if e is None:
        return None
    try:
        data = bytes(e.data).decode()
    except UnicodeDecodeError:
        return None
    return (
        _microseconds(e.recorded_at),
        e.occurred_at and _microseconds(e.occurred_at),
        e.actor.subject,
        e.actor.issuer,
        e.actor.method,
        e.actor.on_behalf_of,
        e.reason,
        e.correlation_id,
        e.causation_id,
        e.trace,
        data,
    )


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _microseconds(moment: datetime) -> int:
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a chunk holds. Hashes in hex.

    `edge`: the right edge of the tree before leaf `first`. With the chunk's leaves it gives `root`, the head
    over the leaves 0 to `last`. `proof` shows that this tree is a prefix of the tree of the signed
    `checkpoint`, over `sealed` leaves (RFC 9162 §2.1.4).
    """

    format: str
    origin: str
    file: str
    size: int
    sha256: str
    rows: int
    first: int
    last: int
    edge: list[str]
    root: str
    sealed: int
    checkpoint: str
    proof: list[str]


def manifest_of(text: bytes) -> Manifest:
    """Return the manifest in a text. Raises BadHistory."""
    try:
        found = msgspec.json.decode(text, type=Manifest)
    except msgspec.MsgspecError as e:
        raise BadHistory(f"it is no manifest: {e}") from e
    if found.format != FORMAT:
        raise BadHistory(f"its format is {found.format!r:.60}, not {FORMAT}")
    if (
        found.file != file_name(found.first, found.last)
        or found.rows != found.last - found.first + 1
        or not 0 <= found.first <= found.last < found.sealed
    ):
        raise BadHistory("its file, rows and leaves do not fit together")
    return found


def file_name(first: int, last: int) -> str:
    """Return the name of a file. Names sort as leaves do."""
    return f"{first:016d}-{last:016d}.parquet"


def manifest_name(first: int, last: int) -> str:
    return file_name(first, last).removesuffix("parquet") + "json"


def leaves_of_name(name: str) -> tuple[int, int] | None:
    """Return (first, last) of an exported file or manifest; None for any other name."""
    found = _NAME.fullmatch(name)
    return (int(found["first"]), int(found["last"])) if found else None


def check_events(manifest: Manifest, events: Iterable[Event]) -> Iterator[bytes]:
    """Yield the leaves of a chunk, each computed from its bytes, after comparing the row with its bytes.

    Raises BadHistory.
    """
    expected = manifest.first
    for row in events:
        if row.leaf_index != expected:
            raise BadHistory(f"{manifest.file}: leaf {expected} is missing or not in its place")
        again = event(LogRow(*row[:7]), row.bytes)
        if again != row or not _same_place(row):
            wrong = [name for (name, _, _), a, b in zip(COLUMNS, again, row, strict=True) if a != b] or [
                "stream, revision, event_id, type or schema"
            ]
            raise BadHistory(
                f"{manifest.file}: the columns of leaf {expected} differ from its bytes: {', '.join(wrong)}"
            )
        yield again.leaf
        expected += 1
    if expected != manifest.last + 1:
        raise BadHistory(f"{manifest.file}: it ends before leaf {manifest.last}")


def _same_place(row: Event) -> bool:
    e = _read(row.bytes)
    return e is None or (e.stream, e.revision, e.id, e.type, e.schema) == (
        row.stream,
        row.revision,
        row.event_id,
        row.type,
        row.schema,
    )


def check_seal(manifest: Manifest, leaves: Iterable[bytes], keys: Sequence[str]) -> tuple[Tree, Checkpoint]:
    """Prove that the leaves are part of a checkpoint signed by one of `keys`.

    Return the tree up to the chunk's end, and the checkpoint.

    `keys`: as `verifier_key` writes them, from a place that the log's operators cannot change. Raises
    BadHistory.
    """
    checkpoint = _signed(manifest, keys)
    try:
        edge, proof, root = (
            [_hash(h) for h in manifest.edge],
            [_hash(h) for h in manifest.proof],
            _hash(manifest.root),
        )
    except ValueError as e:
        raise BadHistory(f"{manifest.file}: its manifest holds something that is no hash") from e
    if len(edge) != manifest.first.bit_count():
        raise BadHistory(
            f"{manifest.file}: the edge in its manifest is not that of a tree of {manifest.first} leaves"
        )
    tree = Tree(manifest.first, tuple(edge)).append(leaves)
    if tree.root != root:
        raise BadHistory(f"{manifest.file}: its leaves do not give the root in its manifest")
    if not verify_consistency(tree.size, tree.root, checkpoint.size, checkpoint.root, proof):
        raise BadHistory(f"{manifest.file}: the signed checkpoint is of another log")
    return tree, checkpoint


def _hash(text: str) -> bytes:
    raw = bytes.fromhex(text)
    if len(raw) != 32:
        raise ValueError(text)
    return raw


def _signed(manifest: Manifest, keys: Sequence[str]) -> Checkpoint:
    faults = []
    for key in keys:
        try:
            name, public = parsed_key(key)
            found = opened(manifest.checkpoint, name, public)
        except BadCheckpoint as e:
            faults.append(str(e))
            continue
        if (found.origin, found.size) != (manifest.origin, manifest.sealed):
            raise BadHistory(
                f"{manifest.file}: its manifest names another origin or size than its checkpoint"
            )
        return found
    raise BadHistory(
        f"{manifest.file}: its checkpoint is not signed by the key given"
        f" ({'; '.join(faults) or 'none was given'})"
    )
