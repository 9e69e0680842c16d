"""Download one file of an artifact. A connection that breaks off goes on where it stopped."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import quote

import httpx

from regista.client.patience import Failures, Patience
from regista.client.transport import Transport
from regista.errors import Damaged, Stale, Unavailable
from regista.files import FileWriter
from regista.progress import Report
from regista.wire.digests import FileEntry


async def download(
    transport: Transport,
    patience: Patience,
    digest: str,
    entry: FileEntry,
    target: Path,
    progress: Report | None,
) -> None:
    """Write a file of the artifact to `target`, and verify it as a whole.

    It is requested again from the last byte that arrived, as long as bytes arrive within the patience. Raises
    Damaged and Unavailable.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    failures = Failures(patience)
    async with FileWriter(target) as file:
        while True:
            before, began = file.size, time.monotonic()
            try:
                await _receive(transport, digest, entry, file, progress)
                break
            except httpx.TransportError as e:
                if file.size > before:
                    failures.progressed()
                broken = f"the download of {entry.path} broke off after {file.size:,} of {entry.size:,} bytes"
                await failures.wait(Unavailable("download_broken", f"{broken} ({type(e).__name__})"), began)
            except Stale:
                raise _altered(digest, entry, "the service has other bytes now") from None
    if (file.sha256, file.size) != (entry.sha256, entry.size):
        raise _altered(digest, entry, f"{file.size} bytes, sha256 {file.sha256[:12]}…")


async def _receive(
    transport: Transport, digest: str, entry: FileEntry, file: FileWriter, progress: Report | None
) -> None:
    """Append what is missing. Raises httpx.TransportError when the stream breaks off."""
    if file.size >= entry.size > 0:
        return
    headers = {"If-Match": f'"{entry.sha256}"'}
    if file.size:
        headers["Range"] = f"bytes={file.size}-"
    path = f"/artifacts/{digest}/files/{quote(entry.path)}"
    async with transport.download("artifact", path, headers) as got:
        if file.size and not got.headers.get("content-range", "").startswith(f"bytes {file.size}-"):
            await file.restart()  # the answer is the whole file
        async for piece in got.aiter_bytes():
            await file.write(piece)
            if file.size > entry.size:
                return
            if progress:
                progress(entry.path, file.size, entry.size)


def _altered(digest: str, entry: FileEntry, found: str) -> Damaged:
    detail = f"{entry.path} of {digest} is not the file that was registered: {found}"
    return Damaged("artifact_altered", detail)
