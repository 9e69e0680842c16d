"""Audit: timelines, past states, proofs of the log, and the exported log. Answers are the service's JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import httpx

from regista.calls.requests import Json, Requests, given
from regista.errors import Unavailable
from regista.files import FileWriter, Progress, begin
from regista.former_names import former
from regista.local_errors import writing
from regista.wire.history import file_name, manifest_name


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
    ) -> list[Json]:
        """Return the events of a model, or of one version: when, who, what, why, and their causes.

        They come in the log's order, or the `newest` first. `notes`: with the copies of other services'
        events (type Noted). `since`, `until`: RFC 3339, or days in UTC.
        """
        query = given(number=number, since=since, until=until) | {"newest": newest, "notes": notes}
        return await self._all("audit", f"/timeline/{quote(model, safe='')}", limit, **query)

    async def as_of(self, model: str, at_time: str | None = None, environment: str = "production") -> Json:
        """Return what was in production at a time (RFC 3339, or the end of a day in UTC), or is now."""
        return dict(await self._get("audit", "/as-of", model=model, environment=environment, at=at_time))

    async def stored_events(
        self, stream: str | None = None, limit: int | None = None, *, correlation_id: str | None = None
    ) -> list[Json]:
        """Return the stored events of a stream, or of one correlation id."""
        return await self._all("audit", "/events", limit, stream=stream, correlation_id=correlation_id)

    async def attempts(
        self,
        limit: int | None = None,
        *,
        subject: str | None = None,
        model: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> list[Json]:
        """Return who tried what a rule denied, the newest first. `since`, `until`: RFC 3339, or a day (UTC).

        Each event counts the attempts of one subject against one rule in an hour.
        """
        return await self._all(
            "audit", "/reports/attempts", limit, subject=subject, model=model, since=since, until=until
        )

    async def log_checkpoints(self, limit: int = 20) -> Json:
        """Return the newest log checkpoints (signed tree heads), and the key that verifies them."""
        return dict(await self._get("audit", "/log-checkpoints", page_size=limit))

    checkpoints = former("checkpoints", log_checkpoints)

    async def consistency(self, first: int, size: int) -> Json:
        """Return the proof that the tree of `first` leaves is a prefix of that of `size` leaves."""
        return dict(await self._get("audit", "/proofs/consistency", first=first, size=size))

    async def inclusion(self, leaf_index: int, size: int) -> Json:
        """Return the proof that a leaf is in the tree of `size` leaves, and the event's stored bytes."""
        return dict(await self._get("audit", "/proofs/inclusion", leaf_index=leaf_index, size=size))

    async def invariants(self) -> Json:
        """Verify the leaves that are new; return which invariants hold for all verified ones, and violations.

        Leaves 0 to `verified - 1` of the `sealed` ones were verified, each once since `read_since`.
        `full_run` is the progress of a run that `check_invariants` requested, None when none is under way.
        """
        return dict((await self._transport.call("GET", "audit", "/invariants", long=True)).body)

    async def check_invariants(self) -> Json:
        """Request that the service reads and verifies the whole log again; return the run that is under way.

        The run is finished when `read_since` of `invariants` has reached `requested_at` of this answer.
        """
        return dict((await self._transport.call("POST", "audit", "/invariants:check", long=True)).body)

    async def history(self, limit: int | None = None) -> list[Json]:
        """Return the files of the exported log, in the order of the log."""
        return await self._all("audit", "/history", limit)

    async def history_state(self) -> Json:
        """Return where the exported log is, and how many events are sealed, signed, planned, exported."""
        answer = await self._get("audit", "/history", page_size=1)
        return {name: value for name, value in answer.items() if name not in {"items", "next_page_token"}}

    async def export_history(self, *, everything: bool = False) -> Json:
        """Request the export of the events sealed so far; with `everything`, also of those that fill no file.

        The export is done when `exported` of `history_state` has reached `planned` of this answer.
        """
        body = {"all": everything}
        return dict(
            (await self._transport.call("POST", "audit", "/history:export", body=body, long=True)).body
        )

    async def download_history(self, folder: Path, progress: Progress | None = None) -> int:
        """Copy the exported files that `folder` lacks, and return how many.

        Each file appears complete or not at all, its manifest after it. `regista.exported_history` verifies
        them.
        """
        wanted = await asyncio.to_thread(_lacking, folder, await self.history())
        begin(progress, [file["size"] for file in wanted])
        for file in wanted:
            first, last = file["first"], file["last"]
            for name, size in ((file_name(first, last), file["size"]), (manifest_name(first, last), 0)):
                await self._fetch_history(name, folder / name, size, progress)
        return len(wanted)

    async def _fetch_history(self, name: str, target: Path, size: int, progress: Progress | None) -> None:
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


def _lacking(folder: Path, files: Iterable[Json]) -> list[Json]:
    """Create the folder, and return the exported files whose manifest it lacks."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return [
        f for f in files if f["exported_at"] and not (folder / manifest_name(f["first"], f["last"])).exists()
    ]
