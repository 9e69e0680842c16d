"""Check the files of an artifact against all limits before the first byte is sent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regista.client.transport import Transport
from regista.errors import Forbidden, Invalid, NotFound, TooLarge
from regista.files import checked_files_of, empty_folders
from regista.local_errors import reading
from regista.onnx_files import check_weights
from regista.wire import limits

log = logging.getLogger("regista")
ADVICE = "Pack small files together, leave out what loading does not need, or split the artifact."
LOCATION = "0" * 36


@dataclass(frozen=True, slots=True)
class Planned:
    """The files of an artifact that is about to be uploaded, and their sizes in bytes."""

    files: Mapping[str, Path]
    sizes: Mapping[str, int]

    def as_artifact(self) -> dict[str, Any]:
        """Return ModelTrained's `artifact` as long as it will be, with zeros for what is not known yet."""
        files = [{"path": name, "size": size, "sha256": "0" * 64} for name, size in self.sizes.items()]
        return {"digest": "sha256:" + "0" * 64, "files": files, "location": LOCATION}


async def planned(transport: Transport, path: str | Path, *, links: bool = False) -> Planned:
    """Return the files below `path`; with `links`, links to files count as files.

    The limits are those of the contract, and those that the installation lowered. Raises Invalid, and
    TooLarge with the file and the limit.
    """
    files, sizes = await asyncio.to_thread(_measured, path_of(path), links)
    await check_limits(transport, sizes)
    return Planned(files, sizes)


async def check_limits(transport: Transport, sizes: Mapping[str, int]) -> None:
    """Raise TooLarge, with the file and the limit, for files that the installation does not take."""
    allowed = {
        "files": limits.FILES,
        "file_bytes": limits.FILE_BYTES,
        "artifact_bytes": limits.ARTIFACT_BYTES,
    }
    _check(sizes, allowed)
    with contextlib.suppress(NotFound, Forbidden):  # a service of the release before has no such path
        _check(sizes, (await transport.call("GET", "artifact", "/uploads/limits")).body)


def path_of(artifact: Any) -> Path:
    """Return the path of an artifact. Raises Invalid for anything else."""
    if not isinstance(artifact, str | os.PathLike):
        detail = f"the artifact must be the path of a file or folder, not {type(artifact).__name__}"
        raise Invalid(
            "artifact_missing", detail, advice="Write the model to a file first, then publish that."
        )
    return Path(artifact)


def _measured(path: Path, follow_links: bool) -> tuple[dict[str, Path], dict[str, int]]:
    """Return the files below `path` and their sizes. Raises Invalid, also for ONNX without its weights."""
    files = checked_files_of(path, follow_links=follow_links)
    if empty := empty_folders(path):
        log.warning("%d empty folders are not part of the artifact: %r", len(empty), empty[:5])
    sizes = {}
    for name, file in files.items():
        with reading(name):
            sizes[name] = file.stat().st_size
    check_weights(files)
    return files, sizes


def _check(sizes: Mapping[str, int], allowed: Mapping[str, int]) -> None:
    if len(sizes) > allowed["files"]:
        detail = f"the artifact has {len(sizes):,} files; at most {allowed['files']:,} are allowed"
        raise TooLarge("too_many_files", detail, advice=ADVICE)
    largest = max(sizes, key=lambda name: sizes[name])
    if sizes[largest] > allowed["file_bytes"]:
        detail = f"{largest} has {sizes[largest]:,} bytes; at most {allowed['file_bytes']:,} are allowed"
        raise TooLarge("file_too_large", detail, advice="Split the file.")
    if (total := sum(sizes.values())) > allowed["artifact_bytes"]:
        detail = f"the artifact has {total:,} bytes; at most {allowed['artifact_bytes']:,} are allowed"
        raise TooLarge("artifact_too_large", detail, advice=ADVICE)
