"""HTTP of exported history: which files there are, the files themselves, and the wish to export now.

For auditors of everything.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from starlette.responses import Response, StreamingResponse

from regista.wire.history import file_name, leaves_of_name, manifest_name, manifest_of
from services.audit import shapes
from services.audit.export import chunks
from services.audit.export.process import Exports
from services.audit.export.stores import HistoryStore, NoSuchFile, StoreAway
from shared.deciding.decider import NotFound, RuleBroken
from shared.http.problems import Problem
from shared.http.routes import Call, PageQuery, Reply, Route

log = logging.getLogger(__name__)

AUDITOR = "auditor"


class HistoryApi:
    """The routes, with the store they read; None where history is not exported."""

    def __init__(self, store: HistoryStore | None, exports: Exports) -> None:
        self._store = store
        self._exports = exports

    async def get_history(self, call: Call) -> dict[str, Any]:
        """The files in the order of leaves, and how far the export is."""
        kept = self._kept(call)
        after = call.query.after(int) or (-1,)
        rows = await chunks.listed(call.app.pool, after[0], call.query.page_size)
        more = call.query.next_token(rows, "first")
        state = await chunks.state(call.app.pool)
        return {
            "place": kept.uri,
            "sealed": state.sealed,
            "signed": state.signed,
            "planned": state.planned,
            "exported": state.exported,
            "failure": self._exports.failure,
            "items": [_shown(row) for row in rows],
            "next_page_token": more,
        }

    async def post_export(self, call: Call) -> Reply:
        """Plans what is there now. A plan stays: whichever replica is up carries it out."""
        self._kept(call)
        await self._exports.plan(call.app.pool, everything=call.body.everything)
        state = await chunks.state(call.app.pool)
        return Reply({"planned": state.planned, "exported": state.exported}, status=202)

    async def get_file(self, call: Call) -> Response:
        """A file or a manifest as it is in the store."""
        kept, name = self._kept(call), call.path["name"]
        leaves = leaves_of_name(name)
        done = await chunks.is_exported(call.app.pool, *leaves) if leaves else None
        if done is None:
            raise NotFound(
                "unknown_history_file", f"There is no file {name!r:.100}: GET /v1/history names all."
            )
        pieces = kept.read(name)
        try:
            first = await asyncio.to_thread(next, pieces, b"")
        except NoSuchFile as missing:
            if done:
                log.warning(
                    "a file of history is not where it was written", extra={"file": name, "place": kept.uri}
                )
                raise NotFound(
                    "history_file_gone",
                    f"{name} was exported to {kept.uri} and is not there any more: tell the operator.",
                ) from missing
            raise NotFound(
                "not_exported_yet", f"{name} is planned and not exported yet: ask again in a moment."
            ) from missing
        except StoreAway as away:
            raise Problem(
                503,
                "history_store_away",
                "The store of history does not answer: repeat it in a while.",
                {"retry-after": "5"},
            ) from away
        kind = "application/json" if name.endswith("json") else "application/vnd.apache.parquet"
        return StreamingResponse(_streamed(first, pieces), media_type=kind)

    def _kept(self, call: Call) -> HistoryStore:
        call.require(AUDITOR, "")
        if self._store is None:
            raise RuleBroken(
                "history_not_kept",
                "History is not exported here: tell the operator to set REGISTA_HISTORY_S3_ENDPOINT or REGISTA_HISTORY_DIR of audit.",
            )
        return self._store

    def routes(self) -> list[Route]:
        """What is served."""
        return [
            Route(
                "GET",
                "/v1/history",
                self.get_history,
                "The files of exported history, and how far the export is",
                query=PageQuery,
                response=shapes.History,
                tags=["history"],
            ),
            Route(
                "POST",
                "/v1/history:export",
                self.post_export,
                "Export sealed history now",
                body=shapes.ExportHistory,
                response=shapes.HistoryPlanned,
                status=202,
                tags=["history"],
                timeout=600,
            ),
            Route(
                "GET",
                "/v1/history/{name}",
                self.get_file,
                "A file of exported history, or its manifest",
                tags=["history"],
            ),
        ]


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
