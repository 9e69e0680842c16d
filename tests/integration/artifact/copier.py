"""Verify one upload as the service does, in a process that a test can kill."""

from __future__ import annotations

import asyncio
import sys

import msgspec

from regista.wire.digests import FileEntry
from services.artifact.settings import ArtifactSettings
from services.artifact.stored_bytes import verify


class Job(msgspec.Struct):
    settings: dict[str, str]
    source: str
    target: str
    files: tuple[FileEntry, ...]


async def run(job: Job) -> None:
    print("begun", flush=True)  # noqa: T201 - what the test waits for
    wrong = await verify(
        ArtifactSettings.model_validate(job.settings).store(), job.source, job.target, job.files
    )
    print(wrong or "verified", flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(run(msgspec.json.decode(sys.argv[1], type=Job)))
