"""The JSON of requests and answers."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from shared.http.routes import Body


class UploadQuery(Body):
    """`name`: the file's path in its artifact. `upload`: the upload to add it to; none opens a new one.

    `folder`: a name that the caller gives to an upload. The first file opens it, and others are added to it.
    """

    name: str = Field(min_length=1, max_length=600)
    upload: str = Field(default="", max_length=36)
    folder: str = Field(default="", max_length=400)


class FolderQuery(Body):
    """`folder`: the name that the caller gave to the upload."""

    folder: str = Field(min_length=1, max_length=400)


class UploadedEntry(BaseModel):
    """A file of an upload."""

    path: str
    size: int
    sha256: str


class UploadAnswer(BaseModel):
    """An upload that is open until `expires_at`. `location` is what a version names."""

    location: str
    files: list[UploadedEntry]
    expires_at: datetime


class Uploaded(BaseModel):
    """`location` is what `ModelTrained.artifact.location` names, and `upload` of the artifact's next file."""

    location: str
    name: str
    size: int
    sha256: str


class UploadLimits(BaseModel):
    """The limits of one artifact: its files, the bytes of one and of all, and of a path and a part of it."""

    files: int
    file_bytes: int
    artifact_bytes: int
    path_bytes: int
    part_bytes: int


class VersionAnswer(BaseModel):
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
    since: datetime


class FileAnswer(BaseModel):
    """One file, and the path to download it from."""

    path: str
    size: int
    sha256: str
    href: str


class ArtifactAnswer(BaseModel):
    """`files` are those of the verified manifest. Versions that the caller may not read are left out."""

    digest: str
    state: str
    generation: int
    uri: str | None
    size: int | None
    files: list[FileAnswer]
    versions: list[VersionAnswer]
    first_at: datetime
    checked_at: datetime | None
    delete_at: datetime | None
