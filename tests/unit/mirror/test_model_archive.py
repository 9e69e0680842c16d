"""The archive of a version: the same bytes each time, of the size that was announced, and readable by tar."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.mirror.targets.base import File, Unavailable
from services.mirror.targets.model_archive import NAME, archive, size_of


class Stored:
    """Files in memory, read in pieces of one size."""

    def __init__(self, content: dict[str, bytes], piece: int = 70_001) -> None:
        self.content, self.piece = content, piece

    @property
    def files(self) -> tuple[File, ...]:
        return tuple(File(p, len(b), hashlib.sha256(b).hexdigest()) for p, b in self.content.items())

    async def read(self, path: str) -> AsyncIterator[bytes]:
        content = self.content[path]
        for begin in range(0, len(content), self.piece):
            yield content[begin : begin + self.piece]


async def made(stored: Stored) -> bytes:
    return b"".join([piece async for piece in archive(stored.files, stored)])


CONTENT = {
    "model.bin": b"x" * 200_000,
    "code/inference.py": b"",
    "labels/" + "ä" * 90 + "/" + "名" * 60 + ".txt": b"one",
}


DIGEST = "6fec8616259a450c7d141f079a6d0e95135b3be04d76ff7c779a133513010a6b"


async def test_tar_reads_every_file_and_no_one_owns_it() -> None:
    whole = await made(Stored(CONTENT))
    with tarfile.open(fileobj=io.BytesIO(whole), mode="r:gz") as tar:
        found = {one.name: (one.mtime, one.uid, one.uname) for one in tar.getmembers()}
        read = {name: tar.extractfile(name).read() for name in found}  # type: ignore[union-attr] - regular files
    assert (read, set(found.values())) == (CONTENT, {(0, 0, "")})


async def test_the_bytes_do_not_depend_on_pieces_or_the_order_of_files() -> None:
    first = await made(Stored(CONTENT))
    second = await made(Stored(dict(reversed(CONTENT.items())), piece=13))
    assert first == second
    assert hashlib.sha256(first).hexdigest() == DIGEST


@given(sizes=st.lists(st.integers(0, 140_000), max_size=4), piece=st.integers(1, 140_000))
@settings(max_examples=40, deadline=None)
async def test_the_size_is_known_before(sizes: list[int], piece: int) -> None:
    stored = Stored({f"f{n}": b"z" * size for n, size in enumerate(sizes)}, piece + 1000)
    whole = await made(stored)
    assert len(whole) == size_of(stored.files)
    gzip.decompress(whole)


async def test_what_is_an_archive_already_is_copied_as_it_is() -> None:
    stored = Stored({NAME: b"already packed"})
    assert (await made(stored), size_of(stored.files)) == (b"already packed", 14)


async def test_an_archive_whose_file_is_damaged_never_ends() -> None:
    class Damaged(Stored):
        async def read(self, path: str) -> AsyncIterator[bytes]:
            yield self.content[path]
            raise Unavailable("other bytes than were verified")

    with pytest.raises(Unavailable):
        await made(Damaged({"model.bin": b"x"}))
