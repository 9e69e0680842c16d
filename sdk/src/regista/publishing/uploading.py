"""Upload the files of an artifact: from this machine, or as streams from anywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from regista.client.transport import Transport
from regista.errors import Damaged
from regista.files import HashingStream, manifest
from regista.local_errors import reading
from regista.progress import Report, begin
from regista.shapes.registry import Artifact
from regista.wire.digests import FileEntry


class Stream(Protocol):
    """One file on its way: `total` bytes, as `sha256` and `size` describe it after the last piece."""

    name: str
    total: int
    sha256: str
    size: int

    def __call__(self) -> AsyncIterator[bytes]: ...


async def upload(transport: Transport, files: Mapping[str, Path], progress: Report | None = None) -> Artifact:
    """Upload the files of an artifact by their path in it, and return ModelTrained's `artifact`.

    Each file is read once and hashed while it is sent. Raises Damaged when the service received other bytes.
    """
    with reading("the artifact"):
        begin(progress, [file.stat().st_size for file in files.values()])
    return await upload_streams(transport, (HashingStream(file, n, progress) for n, file in files.items()))


async def upload_streams(transport: Transport, streams: Iterable[Stream]) -> Artifact:
    """Upload an artifact from streams, one after the other, and return ModelTrained's `artifact`."""
    entries: list[FileEntry] = []
    location = ""
    for stream in streams:
        name = stream.name
        query = {"name": name, "upload": location or None}
        answer = (await transport.upload("artifact", "/uploads", query, stream, stream.total)).body
        if (answer["sha256"].removeprefix("sha256:"), answer["size"]) != (stream.sha256, stream.size):
            raise Damaged(
                "upload_altered",
                f"the service received other bytes of {name} than were sent",
                advice="Publish again.",
            )
        location = location or str(answer["location"])
        entries.append(FileEntry(name, stream.size, stream.sha256))
    made = manifest(entries)
    return {
        "digest": made.digest,
        "files": [{"path": f.path, "size": f.size, "sha256": f.sha256} for f in made.files],
        "location": location,
    }
