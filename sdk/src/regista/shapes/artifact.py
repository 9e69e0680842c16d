"""Shapes of requests to artifact, and of its answers.

`python -m tools.contracts` writes this file.
"""

from __future__ import annotations

from typing import TypedDict


class ArtifactAnswer(TypedDict):
    """`files` are those of the verified manifest. Versions that the caller may not read are left out."""

    digest: str
    state: str
    generation: int
    uri: str | None
    size: int | None
    files: list[FileAnswer]
    versions: list[VersionAnswer]
    first_at: str
    checked_at: str | None
    delete_at: str | None


class FileAnswer(TypedDict):
    """One file, and the path to download it from."""

    path: str
    size: int
    sha256: str
    href: str


class UploadAnswer(TypedDict):
    """An upload that is open until `expires_at`. `location` is what a version names."""

    location: str
    files: list[UploadedEntry]
    expires_at: str


class UploadLimits(TypedDict):
    """The limits of one artifact: its files, the bytes of one and of all, and of a path and a part of it."""

    files: int
    file_bytes: int
    artifact_bytes: int
    path_bytes: int
    part_bytes: int


class Uploaded(TypedDict):
    """`location` is what `ModelTrained.artifact.location` names, and `upload` of the artifact's next file."""

    location: str
    name: str
    size: int
    sha256: str


class UploadedEntry(TypedDict):
    """A file of an upload."""

    path: str
    size: int
    sha256: str


class VersionAnswer(TypedDict):
    """A version that refers or referred to the artifact.

    `withdrawn` or `rejected`: the bytes are not served to it, whatever its status.
    """

    model_id: str
    model: str
    number: int
    status: str
    withdrawn: bool
    rejected: bool
    detail: str | None
    since: str
