"""Answer which files of the exported log there are, serve the files, and export on request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from starlette.responses import Response, StreamingResponse

from regista.wire.history import file_name, leaves_of_name, manifest_name, manifest_of
from services.audit import shapes
from services.audit.export import chunks
from services.audit.export.stores import HistoryStore, NoSuchFile, StoreUnavailable
from services.audit.parts import Parts
from shared.deciding.decider import NotFound, RuleBroken
from shared.http.problems import Problem
from shared.http.routes import Call, PageQuery, Reply, Route

log = logging.getLogger(__name__)

AUDITOR = "auditor"


async def get_history(call: Call[None, PageQuery]) -> dict[str, Any]:
    """Return the files in the order of leaves, and how far the export is."""
    store = _store(call)
    (after,) = call.query.after(int) or (-1,)
    rows = await chunks.listed(call.app.pool, after, call.query.page_size)
    state = await chunks.state(call.app.pool)
    return {
        "place": store.uri,
        "sealed": state.sealed,
        "signed": state.signed,
        "planned": state.planned,
        "exported": state.exported,
        "failure": call.app.parts_as(Parts).exports.failure,
        "items": [_shown(row) for row in rows],
        "next_page_token": call.query.next_token(rows, "first"),
    }


async def post_export(call: Call[shapes.ExportHistory, None]) -> Reply:
    """Plan what can be exported now. Any replica carries out the plan."""
    _store(call)
    await call.app.parts_as(Parts).exports.plan(call.app.pool, everything=call.body.everything)
    state = await chunks.state(call.app.pool)
    return Reply({"planned": state.planned, "exported": state.exported}, status=202)


async def get_file(call: Call[None, None]) -> Response:
    """Return a file or a manifest as it is in the store."""
    store, name = _store(call), call.path["name"]
    leaves = leaves_of_name(name)
    exported = await chunks.is_exported(call.app.pool, *leaves) if leaves else None
    if exported is None:
        raise NotFound(
            "unknown_history_file",
            f"There is no file {name!r:.100}: choose one of the list.",
            listed_at="/v1/history",
        )
    pieces = store.read(name)
    try:
        first = await asyncio.to_thread(next, pieces, b"")
    except NoSuchFile as missing:
        raise _missing(store, name, exported=exported) from missing
    except StoreUnavailable as error:
        raise Problem(
            503,
            "history_store_away",
            "The store of the exported log does not answer: repeat the request in a few seconds.",
            {"retry-after": "5"},
        ) from error
    kind = "application/json" if name.endswith("json") else "application/vnd.apache.parquet"
    return StreamingResponse(_streamed(first, pieces), media_type=kind)


def _missing(store: HistoryStore, name: str, *, exported: bool) -> NotFound:
    if not exported:
        return NotFound(
            "not_exported_yet", f"{name} is planned and not exported yet: repeat the request in a moment."
        )
    log.warning("an exported file is missing in the store", extra={"file": name, "store": store.uri})
    return NotFound(
        "history_file_gone",
        f"{name} was exported to {store.uri} and is missing there: report this to the operator.",
    )


def _store(call: Call[Any, Any]) -> HistoryStore:
    """Return the store. Raises RuleBroken where the log is not exported."""
    call.require(AUDITOR, "")
    store = call.app.parts_as(Parts).store
    if store is None:
        raise RuleBroken(
            "history_not_kept",
            "The log is not exported here: ask the operator to set REGISTA_HISTORY_S3_ENDPOINT or"
            " REGISTA_HISTORY_DIR of audit.",
        )
    return store


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    found = manifest_of(row["manifest"]) if row["manifest"] else None
    return {
        "first": row["first"],
        "last": row["last"],
        "file": file_name(row["first"], row["last"]),
        "manifest": manifest_name(row["first"], row["last"]),
        "planned_at": row["planned_at"],
        "exported_at": row["exported_at"],
        "size": found and found.size,
        "sha256": found and found.sha256,
        "sealed": found and found.sealed,
    }


async def _streamed(first: bytes, rest: Iterator[bytes]) -> AsyncIterator[bytes]:
    piece = first
    while piece:
        yield piece
        piece = await asyncio.to_thread(next, rest, b"")


ROUTES = (
    Route(
        "GET",
        "/v1/history",
        get_history,
        "The files of the exported log, and how far the export is",
        query=PageQuery,
        response=shapes.History,
        tags=["history"],
    ),
    Route(
        "POST",
        "/v1/history:export",
        post_export,
        "Export the sealed log now",
        body=shapes.ExportHistory,
        response=shapes.HistoryPlanned,
        status=202,
        tags=["history"],
        timeout=600,
    ),
    Route(
        "GET",
        "/v1/history/{name}",
        get_file,
        "A file of the exported log, or its manifest",
        tags=["history"],
    ),
)
