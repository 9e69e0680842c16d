"""Check a claimed artifact without its bytes: the digest and the form of its list of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regista.wire import limits
from regista.wire.digests import FileEntry, NoDigest, manifest_digest
from regista.wire.file_names import problem_of_names


@dataclass(frozen=True, slots=True)
class Limits:
    """The most files and bytes of one artifact."""

    files: int = limits.FILES
    bytes: int = limits.ARTIFACT_BYTES


@dataclass(frozen=True, slots=True)
class Claim:
    """A version's claim to an artifact.

    `found` is the digest of the files named, "" when they have none. `problem` states what is wrong with the
    list.
    """

    model_id: str
    model: str
    number: int
    digest: str
    location: str
    size: int
    found: str
    problem: str


def claim(
    model_id: str,
    model: str,
    number: int,
    digest: str,
    files: Sequence[FileEntry],
    location: str,
    limits: Limits,
) -> Claim:
    """Compute the digest of the files named and check their form."""
    try:
        found = manifest_digest(files)
    except NoDigest as e:
        return Claim(
            model_id, model, number, digest, location, 0, "", f"The list of files has no digest: {e}."
        )
    return Claim(
        model_id,
        model,
        number,
        digest,
        location,
        sum(f.size for f in files),
        found,
        problem_of_form(files, limits),
    )


def problem_of_form(files: Sequence[FileEntry], limits: Limits) -> str:
    """Return what is wrong with the list of files and what to do, or "" when it is accepted."""
    if len(files) > limits.files:
        return f"The artifact has {len(files)} files, {limits.files} are allowed: pack small files together."
    if (size := sum(f.size for f in files)) > limits.bytes:
        return f"The artifact has {size} bytes, {limits.bytes} are allowed."
    if problem := problem_of_names(f.path for f in files):
        return f"The names are not the same on every system: {problem}. Rename the file."
    return ""
