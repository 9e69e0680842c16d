"""Audit: timelines, past states, proofs of the log, and the exported log. Answers are the service's JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict
from urllib.parse import quote

import httpx

from regista.calls.requests import Json, Requests, given, in_path, shaped
from regista.errors import Unavailable
from regista.files import FileWriter
from regista.former_names import former
from regista.local_errors import writing
from regista.progress import Progress, Report, begin, reporting
from regista.shapes.audit import (
    AsOf,
    Consistency,
    FullRun,
    HistoryFile,
    HistoryPlanned,
    Inclusion,
    Invariants,
    LogCheckpoints,
    TimelineEvent,
)
from regista.shapes.audit import Event as StoredEvent
from regista.wire.history import file_name, manifest_name


class HistoryState(TypedDict):
    """The exported log in numbers of leaves: `sealed`, of them `signed`, `planned`, `exported` without a gap.

    `place` is where it is; `failure` is why the last export of the answering replica ended.
    """

    place: str
    sealed: int
    signed: int
    planned: int
    exported: int
    failure: str


class AuditCalls(Requests):
    """Read what happened, and what proves it."""

    async def timeline(
        self,
        model: str,
        limit: int | None = None,
        number: int | None = None,
        *,
        newest: bool = False,
        notes: bool = True,
        since: str | None = None,
        until: str | None = None,
    ) -> list[TimelineEvent]:
        """Return the events of a model, or of one version: when, who, what, why, and their causes.

        They come in the log's order, or the `newest` first. `notes`: with the copies of other services'
        events (type Noted). `since`, `until`: RFC 3339, or days in UTC.
        """
        query = given(number=number, since=since, until=until) | {"newest": newest, "notes": notes}
        return await self._all(TimelineEvent, "audit", f"/timeline/{in_path(model)}", limit, **query)

    async def as_of(self, model: str, at_time: str | None = None, environment: str = "production") -> AsOf:
        """Return what was in production at a time (RFC 3339, or the end of a day in UTC), or is now."""
        return await self._get(AsOf, "audit", "/as-of", model=model, environment=environment, at=at_time)

    async def stored_events(
        self, stream: str | None = None, limit: int | None = None, *, correlation_id: str | None = None
    ) -> list[StoredEvent]:
        """Return the stored events of a stream, or of one correlation id."""
        return await self._all(
            StoredEvent, "audit", "/events", limit, stream=stream, correlation_id=correlation_id
        )

    async def attempts(
        self,
        limit: int | None = None,
        *,
        subject: str | None = None,
        model: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> list[StoredEvent]:
        """Return who tried what a rule denied, the newest first. `since`, `until`: RFC 3339, or a day (UTC).

        Each event counts the attempts of one subject against one rule in an hour.
        """
        return await self._all(
            StoredEvent,
            "audit",
            "/reports/attempts",
            limit,
            subject=subject,
            model=model,
            since=since,
            until=until,
        )

    async def log_checkpoints(self, limit: int = 20) -> LogCheckpoints:
        """Return the newest log checkpoints (signed tree heads), and the key that verifies them."""
        return await self._get(LogCheckpoints, "audit", "/log-checkpoints", page_size=limit)

    checkpoints = former("checkpoints", log_checkpoints)

    async def consistency(self, first: int, size: int) -> Consistency:
        """Return the proof that the tree of `first` leaves is a prefix of that of `size` leaves."""
        return await self._get(Consistency, "audit", "/proofs/consistency", first=first, size=size)

    async def inclusion(self, leaf_index: int, size: int) -> Inclusion:
        """Return the proof that a leaf is in the tree of `size` leaves, and the event's stored bytes."""
        return await self._get(Inclusion, "audit", "/proofs/inclusion", leaf_index=leaf_index, size=size)

    async def invariants(self, *, verify: bool = True) -> Invariants:
        """Verify the leaves that are new; return which invariants hold for all verified ones, and violations.

        With `verify=False` the service returns what it has verified already, in the background, and verifies
        nothing for this request.
        Leaves 0 to `verified - 1` of the `sealed` ones were verified, each once since `read_since`.
        `full_run` is the progress of a run that `check_invariants` requested, None when none is under way.
        """
        query = {} if verify else {"verify": "false"}
        return await self._send(Invariants, "GET", "audit", "/invariants", long=True, query=query)

    async def check_invariants(self) -> FullRun:
        """Request that the service reads and verifies the whole log again; return the run that is under way.

        The run is finished when `read_since` of `invariants` has reached `requested_at` of this answer.
        """
        return await self._send(FullRun, "POST", "audit", "/invariants:check", long=True)

    async def history(self, limit: int | None = None) -> list[HistoryFile]:
        """Return the files of the exported log, in the order of the log."""
        return await self._all(HistoryFile, "audit", "/history", limit)

    async def history_state(self) -> HistoryState:
        """Return where the exported log is, and how many events are sealed, signed, planned, exported."""
        answer = await self._get(Json, "audit", "/history", page_size=1)
        state = {name: value for name, value in answer.items() if name not in {"items", "next_page_token"}}
        return shaped(HistoryState, state)

    async def export_history(self, *, everything: bool = False) -> HistoryPlanned:
        """Request the export of the events sealed so far; with `everything`, also of those that fill no file.

        The export is done when `exported` of `history_state` has reached `planned` of this answer.
        """
        body = {"all": everything}
        return await self._send(HistoryPlanned, "POST", "audit", "/history:export", body, long=True)

    async def download_history(self, folder: Path, progress: Progress | None = None) -> int:
        """Copy the exported files that `folder` lacks, and return how many.

        Each file appears complete or not at all, its manifest after it. `regista.exported_history` verifies
        them. `progress` is as in `load`.
        """
        wanted = await asyncio.to_thread(_lacking, folder, await self.history())
        with reporting(progress, "copying") as report:
            begin(report, [file["size"] or 0 for file in wanted])
            for file in wanted:
                first, last = file["first"], file["last"]
                await self._fetch_history(
                    file_name(first, last), folder / file_name(first, last), file["size"] or 0, report
                )
                name = manifest_name(first, last)
                await self._fetch_history(name, folder / name, 0, report)
        return len(wanted)

    async def _fetch_history(self, name: str, target: Path, size: int, progress: Report | None) -> None:
        partial = target.with_name(f".{name}.part")
        try:
            with writing(target):
                async with (
                    self._transport.download("audit", f"/history/{quote(name)}") as got,
                    FileWriter(partial) as file,
                ):
                    async for piece in got.aiter_bytes():
                        await file.write(piece)
                        if progress and size:
                            progress(name, file.size, size)
                await asyncio.to_thread(partial.replace, target)
        except httpx.TransportError as e:
            raise Unavailable("broken_off", f"the download of {name} broke off ({type(e).__name__})") from e
        finally:
            await asyncio.to_thread(partial.unlink, missing_ok=True)


def _lacking(folder: Path, files: Iterable[HistoryFile]) -> list[HistoryFile]:
    """Create the folder, and return the exported files whose manifest it lacks."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return [
        f for f in files if f["exported_at"] and not (folder / manifest_name(f["first"], f["last"])).exists()
    ]
