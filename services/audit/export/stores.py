"""Store exported files: each whole or not at all, and never deleted. Synchronous: call it from a thread."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from regista.wire.history import FOLDER
from shared.foundation.files import sync_folder
from shared.foundation.s3 import S3Server

if TYPE_CHECKING:
    from minio import Minio

PIECE = 1024 * 1024
LEFT_BEHIND = 24 * 3600
"""Seconds after which a file that was never moved into its place is deleted."""
LARGEST = 5 * 1024**3
"""Bytes that S3 takes in one request. A crash during an upload in parts would leave parts behind."""


class StoreUnavailable(Exception):  # noqa: N818
    """The store does not answer or refuses access. Wait and repeat; the message is for the operator."""


class NoSuchFile(Exception):  # noqa: N818
    """Nothing is stored under this name."""


class HistoryStore(Protocol):
    """Files by name, all in one folder. Every call may raise StoreUnavailable."""

    @property
    def uri(self) -> str:
        """Where the files are, for readers without this service."""
        ...

    def put(self, name: str, content: bytes) -> None:
        """Store a file in one step: a reader sees all of it or nothing."""
        ...

    def put_new(self, name: str, content: bytes) -> bool:
        """Store a file as `put` does, unless the name exists; return whether it was stored."""
        ...

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the file in pieces. Raises NoSuchFile at the first."""
        ...

    def names(self, after: str) -> list[str]:
        """Return every name that sorts behind `after`, in order."""
        ...


class DiskStore:
    """A folder that all replicas share."""

    def __init__(self, root: Path, folder: str = FOLDER) -> None:
        self._folder = root.absolute() / folder
        self._new = root.absolute() / ".new"

    @property
    def uri(self) -> str:
        return self._folder.as_uri()

    def put(self, name: str, content: bytes) -> None:
        """Write a temporary file, sync it, rename it, sync the folder."""
        self._put(name, content, Path.replace)

    def put_new(self, name: str, content: bytes) -> bool:
        """As `put`, with a second name for the file instead of a new one: it fails where the name exists."""
        try:
            self._put(name, content, lambda aside, target: target.hardlink_to(aside))
        except FileExistsError:
            return False
        return True

    def _put(self, name: str, content: bytes, into_place: Callable[[Path, Path], object]) -> None:
        with _disk():
            for folder in (self._folder, self._new):
                folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
            descriptor, aside = tempfile.mkstemp(dir=self._new)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                Path(aside).chmod(0o444)
                into_place(Path(aside), self._folder / name)
            finally:
                Path(aside).unlink(missing_ok=True)
            for folder in (self._folder, self._folder.parent, self._folder.parent.parent):
                sync_folder(folder)

    def _sweep(self) -> None:
        """Delete old temporary files of processes that were killed."""
        for left in self._new.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if left.stat().st_mtime < time.time() - LEFT_BEHIND:
                    left.unlink()

    def read(self, name: str) -> Iterator[bytes]:
        with _disk(), (self._folder / name).open("rb") as file:
            while piece := file.read(PIECE):
                yield piece

    def names(self, after: str) -> list[str]:
        with _disk():
            return (
                sorted(p.name for p in self._folder.iterdir() if p.name > after)
                if self._folder.is_dir()
                else []
            )


class S3Store:
    """One bucket, by `minio`.

    It is imported at the first use: a service that serves no file saves its memory.
    """

    def __init__(
        self,
        server: S3Server,
        bucket: str,
        prefix: str = "",
        *,
        folder: str = FOLDER,
        kms_key: str = "",
    ) -> None:
        self._server, self._kms_key = server, kms_key
        self._bucket = bucket
        self._folder = f"{prefix.strip('/')}/{folder}".lstrip("/")
        self._made: Minio | None = None

    @property
    def uri(self) -> str:
        return f"s3://{self._bucket}/{self._folder}"

    @property
    def _client(self) -> Minio:
        if self._made is None:
            from shared.foundation.s3_client import client  # noqa: PLC0415

            self._made = client(self._server)
        return self._made

    def put(self, name: str, content: bytes) -> None:
        """Store the file in one request: S3 shows an object as a whole."""
        from shared.foundation.s3_client import encryption  # noqa: PLC0415

        with _s3():
            self._client.put_object(
                self._bucket,
                f"{self._folder}/{name}",
                BytesIO(content),
                len(content),
                part_size=LARGEST,
                sse=encryption(self._kms_key),
            )

    def put_new(self, name: str, content: bytes) -> bool:
        """Store the file unless the name exists, in one request where the store can (`If-None-Match`).

        A store without conditional writes ignores the header: then the look before is all there is.
        """
        from shared.foundation.s3_client import put_if_absent  # noqa: PLC0415

        with _s3():
            if self._exists(name):
                return False
            answer = put_if_absent(
                self._client, self._server, self._bucket, f"{self._folder}/{name}", content, self._kms_key
            )
            if answer.status in {409, 412}:
                return False
            if answer.status != 200:
                raise StoreUnavailable(f"the store of log checkpoints answered {answer.status}")
            return True

    def _exists(self, name: str) -> bool:
        found = self._client.list_objects(self._bucket, f"{self._folder}/{name}")
        return any(str(o.object_name) == f"{self._folder}/{name}" for o in found)

    def read(self, name: str) -> Iterator[bytes]:
        with _s3():
            response = self._client.get_object(self._bucket, f"{self._folder}/{name}")
            try:
                yield from response.stream(PIECE)
            finally:
                response.close()
                response.release_conn()

    def names(self, after: str) -> list[str]:
        with _s3():
            found = self._client.list_objects(
                self._bucket, f"{self._folder}/", start_after=f"{self._folder}/{after}"
            )
            return [str(o.object_name).rpartition("/")[2] for o in found]


@contextlib.contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise
    except FileNotFoundError as e:
        raise NoSuchFile(str(e.filename)) from e
    except OSError as e:
        raise StoreUnavailable(f"the folder of the exported log cannot be used: {e}") from e


@contextlib.contextmanager
def _s3() -> Iterator[None]:
    import urllib3  # noqa: PLC0415
    from minio.error import MinioException, S3Error  # noqa: PLC0415

    try:
        yield
    except S3Error as e:
        if e.code == "NoSuchKey":
            raise NoSuchFile(e.object_name or "") from e
        raise StoreUnavailable(f"the store of the exported log answered {e.code}: {e.message}") from e
    except (MinioException, urllib3.exceptions.HTTPError) as e:
        raise StoreUnavailable(f"the store of the exported log cannot be used: {e}") from e
