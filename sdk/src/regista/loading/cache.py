"""Keep downloaded artifacts by digest: each is complete or absent, and hashed again at every use."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
import uuid
from pathlib import Path

import msgspec

from regista.client.transport import Transport
from regista.errors import Damaged
from regista.files import replace_file, verify_folder
from regista.loading.download import download
from regista.local_errors import writing
from regista.progress import Report, begin
from regista.wire.digests import FileEntry, Manifest, NoDigest

AT_ONCE = 4
"""Files downloaded in parallel."""
ABANDONED = 24 * 3600.0
"""Seconds without a write after which a partial download is deleted."""
_entries = msgspec.json.Decoder(list[FileEntry])


class Cache:
    """`<root>/artifacts/<hex digest>/…` holds the files, `<root>/manifests/` their list.

    A folder appears by one rename, after every file in it was verified.
    """

    def __init__(self, root: Path, transport: Transport) -> None:
        self._root = root
        self._transport = transport

    def manifest(self, digest: str) -> Manifest | None:
        """Return the manifest of a downloaded artifact; None without one that hashes to the digest."""
        try:
            kept = Manifest(tuple(_entries.decode(self._manifest_file(digest).read_bytes())))
        except (OSError, msgspec.MsgspecError, NoDigest):
            return None
        return kept if kept.digest == digest else None

    def _manifest_file(self, digest: str) -> Path:
        return self._root / "manifests" / f"{digest.removeprefix('sha256:')}.json"

    def _folder(self, digest: str) -> Path:
        return self._root / "artifacts" / digest.removeprefix("sha256:")

    async def complete(self, digest: str) -> tuple[Manifest, Path] | None:
        """Return the manifest and the folder of a downloaded artifact; None when it is not there.

        Raises Damaged when its files are not what was registered.
        """
        kept = await asyncio.to_thread(self.manifest, digest)
        folder = self._folder(digest)
        if kept is None or not folder.is_dir():
            return None
        await asyncio.to_thread(verify_folder, folder, kept)
        return kept, folder

    async def fetch(self, expected: Manifest, progress: Report | None = None) -> Path:
        """Return the folder with exactly these files; download them if needed.

        Raises Damaged, Unavailable, and RegistaError when it cannot be written; then nothing is left behind.
        """
        digest = expected.digest
        final = self._folder(digest)
        if final.is_dir():
            try:
                await asyncio.to_thread(verify_folder, final, expected)
            except Damaged:
                await asyncio.to_thread(shutil.rmtree, final, ignore_errors=True)
            else:
                return final
        with writing(self._root):
            partial = await asyncio.to_thread(self._new_partial)
            try:
                await self._download_all(digest, expected, partial, progress)
                if not await asyncio.to_thread(_renamed, partial, final):  # another process was first
                    await asyncio.to_thread(verify_folder, final, expected)
                await asyncio.to_thread(self._write_manifest, expected)
            finally:
                await asyncio.to_thread(shutil.rmtree, partial, ignore_errors=True)
        return final

    def _new_partial(self) -> Path:
        """Make a folder that the umask leaves to others: `tempfile` makes folders for one user only."""
        (self._root / "artifacts").mkdir(parents=True, exist_ok=True)
        self._delete_abandoned()
        partial = self._root / f"partial-{uuid.uuid4().hex}"
        partial.mkdir()
        return partial

    def _delete_abandoned(self) -> None:
        """Delete the partial downloads of killed processes."""
        for left in self._root.glob("partial-*"):
            with contextlib.suppress(FileNotFoundError):  # the download ended just now
                if max(p.lstat().st_mtime for p in (left, *left.rglob("*"))) < time.time() - ABANDONED:
                    shutil.rmtree(left, ignore_errors=True)

    def _write_manifest(self, downloaded: Manifest) -> None:
        final = self._manifest_file(downloaded.digest)
        final.parent.mkdir(exist_ok=True)
        replace_file(final, msgspec.json.encode(downloaded.files).decode())

    async def _download_all(
        self, digest: str, expected: Manifest, folder: Path, progress: Report | None
    ) -> None:
        begin(progress, [entry.size for entry in expected.files])
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

    async def _download(self, digest: str, entry: FileEntry, target: Path, progress: Report | None) -> None:
        await download(self._transport, self._transport.patience, digest, entry, target, progress)


def _renamed(partial: Path, final: Path) -> bool:
    """Rename the folder; return False when `final` exists (another process made it, or it is undeletable)."""
    try:
        partial.rename(final)
    except OSError:
        if not final.is_dir():
            raise
        return False
    return True
