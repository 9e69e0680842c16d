"""Downloaded artifacts by digest: complete or absent, and hashed again at every use."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import httpx
import msgspec

from regista.client.transport import Transport
from regista.errors import Damaged, Unavailable
from regista.files import Progress, verify_folder
from regista.wire.digests import FileEntry, Manifest, NoDigest

AT_ONCE = 4  # files
ATTEMPTS = 3  # of a stream that breaks off
FORGOTTEN = 24 * 3600.0  # seconds after which a half-written download belongs to nobody any more
_entries = msgspec.json.Decoder(list[FileEntry])


class Cache:
    """`<root>/artifacts/<hex digest>/…`: a folder appears by one rename, when every file in it was checked; `<root>/manifests/` lists its files."""

    def __init__(self, root: Path, transport: Transport) -> None:
        self._root = root
        self._transport = transport

    def manifest(self, digest: str) -> Manifest | None:
        """The files of an artifact that was downloaded before, if the list still hashes to the digest."""
        try:
            kept = Manifest(tuple(_entries.decode(self._listed(digest).read_bytes())))
        except (OSError, msgspec.MsgspecError, NoDigest):
            return None
        return kept if kept.digest == digest else None

    def _listed(self, digest: str) -> Path:
        return self._root / "manifests" / f"{digest.removeprefix('sha256:')}.json"

    async def fetch(self, expected: Manifest, progress: Progress | None = None) -> Path:
        """The folder with exactly these files, downloaded if need be. Raises Damaged and Unavailable."""
        digest = expected.digest
        final = self._root / "artifacts" / digest.removeprefix("sha256:")
        if final.is_dir():
            try:
                await asyncio.to_thread(verify_folder, final, expected)
            except Damaged:
                await asyncio.to_thread(shutil.rmtree, final, ignore_errors=True)
            else:
                return final
        (self._root / "artifacts").mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(self._sweep)
        partial = Path(tempfile.mkdtemp(prefix="partial-", dir=self._root))
        try:
            await self._download_all(digest, expected, partial, progress)
            if not _take(
                partial, final
            ):  # somebody else's folder of the same digest: believed as little as an old one
                await asyncio.to_thread(verify_folder, final, expected)
            self._keep(expected)
        finally:
            await asyncio.to_thread(shutil.rmtree, partial, ignore_errors=True)
        return final

    def _sweep(self) -> None:
        """Deletes what downloads left that were killed: nothing in it was written for a day."""
        for left in self._root.glob("partial-*"):
            with contextlib.suppress(FileNotFoundError):  # its download ended meanwhile
                if max(p.lstat().st_mtime for p in (left, *left.rglob("*"))) < time.time() - FORGOTTEN:
                    shutil.rmtree(left, ignore_errors=True)

    def _keep(self, downloaded: Manifest) -> None:
        listed = self._listed(downloaded.digest)
        listed.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=listed.parent, delete=False) as file:
            file.write(msgspec.json.encode(downloaded.files))
        Path(file.name).replace(listed)

    async def _download_all(
        self, digest: str, expected: Manifest, folder: Path, progress: Progress | None
    ) -> None:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(entry: FileEntry) -> None:
            async with gate:
                await self._download(digest, entry, folder / entry.path, progress)

        tasks = [asyncio.ensure_future(one(entry)) for entry in expected.files]
        try:
            await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def _download(self, digest: str, entry: FileEntry, target: Path, progress: Progress | None) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(ATTEMPTS):
            try:
                await self._stream(digest, entry, target, progress)
            except httpx.TransportError as e:
                if attempt == ATTEMPTS - 1:
                    raise Unavailable(
                        "download_broken", f"the download of {entry.path} broke off {ATTEMPTS} times: {e!r}"
                    ) from e
            else:
                return

    async def _stream(self, digest: str, entry: FileEntry, target: Path, progress: Progress | None) -> None:
        h, size = sha256(), 0
        async with self._transport.download(
            "artifact", f"/artifacts/{digest}/files/{quote(entry.path)}"
        ) as got:
            with target.open("wb") as file:
                async for chunk in got.aiter_bytes():
                    size += len(chunk)
                    if size > entry.size:
                        break
                    h.update(chunk)
                    file.write(chunk)
                    if progress:
                        progress(entry.path, size, entry.size)
        if (h.hexdigest(), size) != (entry.sha256, entry.size):
            raise Damaged(
                "artifact_altered",
                f"{entry.path} of {digest} is not the file that was registered: {size} bytes, sha256 {h.hexdigest()[:12]}…",
            )


def _take(partial: Path, final: Path) -> bool:
    """Puts the folder in its place; False when there is one already, another process' or one that could not be removed."""
    try:
        partial.rename(final)
    except OSError:
        if not final.is_dir():
            raise
        return False
    return True
