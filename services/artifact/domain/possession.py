"""Decide whether the makers of a registration have the bytes that they claim, or may read them. Pure.

A digest and a list of files prove nothing: other people see both. An upload proves possession, because the
service hashed each file while its owner sent it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regista.wire.digests import FileEntry
from services.artifact.domain.upload import UploadState

UNPROVEN = (
    "The location is no upload of a publisher of this version, and not every publisher of it may read a "
    "version with these bytes: upload the files and register a version with the new "
    "location, both with keys of one identity."
)
"""The same text whether the bytes, or the upload named, exist or not."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was known about the makers of a claim when it was registered.

    `own`: the claimed location is an upload of one of them, or a folder of theirs in the bucket. `complete`:
    that upload has every claimed file, with the hash that the service computed. `reads`: each of them may
    read a version that the bytes are released to.
    """

    own: bool = False
    complete: bool = False
    reads: bool = False

    @property
    def proven(self) -> bool:
        """Whether the makers need not wait until the bytes at their location are read."""
        return self.complete or self.reads


def has_all(upload: UploadState, files: Sequence[FileEntry]) -> bool:
    """Return whether the service received each of the files in this upload, and hashed it to the claim."""
    received = upload.files
    return bool(files) and all(
        (file := received.get(f.path)) is not None and (file.size, file.sha256) == (f.size, f.sha256)
        for f in files
    )
