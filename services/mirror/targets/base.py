"""The contract of a target: what another registry shows of a version, and how it is read and written.

A target is one file beside this one. It translates: it decides nothing, keeps no state between calls and
never deletes. Its clients may block: call them in a thread, with a time-out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Approval:
    """One approved review. `approvers` are printed names, as the signature record keeps them."""

    review_id: str
    approvers: tuple[str, ...]
    comment: str
    at: datetime
    environment: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric on one data set. `claimed`: the producer measured it itself."""

    name: str
    value: float
    data_set: str
    data_digest: str
    claimed: bool = True


@dataclass(frozen=True, slots=True)
class File:
    """One file of the artifact. `sha256` is lower-case hexadecimal."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Share:
    """The part of the requests that the version gets in an environment."""

    environment: str
    production: bool
    percent: int
    role: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a target has to show of one version.

    `stage` is one of Draft, Staging, Validated, Production, Archived, Rejected. `withdrawn` and `retired`: it
    may not be loaded any more. `reasons`: why it was rejected, withdrawn or retired. `position` is the place
    in the log up to which this is true: it rises, and no difference follows from it alone. `files` is empty
    when the bytes were never here or are deleted. `tags` are the version's own, without the model's.
    `name_there`: what the model was called at the target when its first version came, "" before; it stays
    after a rename.
    """

    model_id: str
    model: str
    number: int
    semver: str
    stage: str
    aliases: tuple[str, ...] = ()
    shares: tuple[Share, ...] = ()
    approvals: tuple[Approval, ...] = ()
    description: str = ""
    model_description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()
    signature: Mapping[str, object] | None = None
    framework: str = ""
    artifact_digest: str = ""
    files: tuple[File, ...] = ()
    data_set: str = ""
    data_digest: str = ""
    creator: str = ""
    withdrawn: bool = False
    retired: bool = False
    reasons: tuple[str, ...] = ()
    position: str = ""
    name_there: str = ""

    @property
    def tag(self) -> str:
        """Return the value of the tag by which a target finds the version again: model id and number."""
        return f"{self.model_id}@{self.number}"


@dataclass(frozen=True, slots=True)
class Found:
    """What the target has of one version.

    `address`: where people find it there, such as an ARN or a name with a number. `fields`: the text of each
    field that the target can show, named as the target names it; the same names as `Target.shown` returns.
    """

    address: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """One field in which a target differs. `found` is None where the target lacks the version."""

    field: str
    wanted: str
    found: str | None


class Refused(Exception):  # noqa: N818 - it is an answer
    """The target will not accept this however often it is repeated. The text states what to do."""


class Unavailable(Exception):  # noqa: N818 - it is an answer
    """The target does not answer, or not now. `retry_after`: seconds that it wants to be left alone."""

    def __init__(self, text: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class Files(Protocol):
    """The bytes of a version's artifact."""

    def read(self, path: str) -> AsyncIterator[bytes]:
        """Return the file's bytes, piece by piece.

        The end is reached only when size and SHA-256 are those of `Wanted.files`; otherwise `Unavailable`
        is raised, so nothing may be shown as complete before the end. It can be read again from the start.
        """


class Target(Protocol):
    """One registry elsewhere, opened with its settings. Used by one task at a time."""

    def name_of(self, model: str) -> str:
        """Return what the model is called there (pure).

        Two models of one name there are a collision. The mirror reports it: the target need not look for it.
        """

    def shown(self, wanted: Wanted) -> Mapping[str, str]:
        """Return the fields that the target has to show (pure). `position` is not among them."""

    async def read(self, wanted: Wanted) -> Found | None:
        """Return what the target has under `wanted.tag`, however it came there, or None.

        Also a version whose write ended in the middle: its incomplete fields differ from those of `shown`.
        """

    async def write(self, wanted: Wanted, files: Files) -> Found:
        """Make the target show this version, and return what it has then.

        Repeatable: a call after "500 after success" finds its own tag, and makes no second version. Bytes are
        copied before anything shows the version as usable. A version that is retired or withdrawn stays, and
        is marked so; one that the target lacks is not created for that.
        """

    async def close(self) -> None:
        """Close connections."""


def differences(shown: Mapping[str, str], found: Found | None) -> list[Difference]:
    """Return the fields in which the target differs from what it has to show (pure).

    Fields that only the target has are none of ours.
    """
    if found is None:
        return [Difference("version", "present", None)]
    return [
        Difference(name, text, found.fields.get(name, ""))
        for name, text in sorted(shown.items())
        if found.fields.get(name, "") != text
    ]
