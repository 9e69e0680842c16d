"""Files are read and written once, in threads, and hashed on the way."""

from __future__ import annotations

import asyncio
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from regista.files import CHUNK, PIECE, FileWriter, HashingStream

CONTENT = bytes(range(256)) * (2 * CHUNK // 256) + b"rest"


async def test_a_stream_sends_the_file_in_pieces_and_hashes_what_it_sent(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(CONTENT)
    seen: list[tuple[str, int, int]] = []
    stream = HashingStream(tmp_path / "f", "f", lambda *done: seen.append(done))
    pieces = [piece async for piece in stream()]
    assert b"".join(pieces) == CONTENT
    assert max(map(len, pieces)) == PIECE
    assert (stream.sha256, stream.size) == (sha256(CONTENT).hexdigest(), len(CONTENT))
    assert seen[-1] == ("f", len(CONTENT), len(CONTENT))


async def test_a_stream_that_is_begun_again_starts_over(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(CONTENT)
    stream = HashingStream(tmp_path / "f", "f", None)
    broken = stream()
    await anext(broken)
    await broken.aclose()
    assert b"".join([piece async for piece in stream()]) == CONTENT
    assert stream.sha256 == sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("piece", [1 << 16, CHUNK + 1])
async def test_a_writer_writes_and_hashes_all_pieces_in_order(tmp_path: Path, piece: int) -> None:
    async with FileWriter(tmp_path / "f") as file:
        for first in range(0, len(CONTENT), piece):
            await file.write(CONTENT[first : first + piece])
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert (file.sha256, file.size) == (sha256(CONTENT).hexdigest(), len(CONTENT))


async def test_an_empty_file_is_written_too(tmp_path: Path) -> None:
    async with FileWriter(tmp_path / "f") as file:
        pass
    assert ((tmp_path / "f").read_bytes(), file.sha256) == (b"", sha256().hexdigest())


async def test_a_disk_that_takes_no_more_ends_the_write() -> None:
    with pytest.raises(OSError, match="No space left"):
        async with FileWriter(Path("/dev/full")) as file:
            await file.write(b"x")


async def test_no_file_is_read_written_or_hashed_on_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_loop = threading.get_ident()
    threads: set[int] = set()

    class Digest:
        def __init__(self) -> None:
            self._inner = sha256()

        def update(self, piece: bytes) -> None:
            threads.add(threading.get_ident())
            self._inner.update(piece)

        def hexdigest(self) -> str:
            return self._inner.hexdigest()

    monkeypatch.setattr("regista.files.sha256", Digest)
    async with FileWriter(tmp_path / "f") as file:
        await file.write(CONTENT)
    async for _ in HashingStream(tmp_path / "f", "f", None)():
        await asyncio.sleep(0)
    assert threads
    assert on_loop not in threads
