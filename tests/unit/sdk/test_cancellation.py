"""A cancelled call ends with the cancellation, and leaves nothing open."""

from __future__ import annotations

import asyncio
import re
import signal
import threading
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

import regista
from regista.client.sync_calls import _items
from regista.files import FileWriter, HashingStream

SOURCES = sorted(Path(regista.__file__).parent.rglob("*.py"))


def test_no_time_limit_can_swallow_a_cancellation() -> None:
    """`asyncio.wait_for` of Python 3.11 drops a cancellation that arrives with the result."""
    assert SOURCES
    dropping = re.compile(r"asyncio\.wait_for\(|import .*\bwait_for\b")
    assert [path.name for path in SOURCES if dropping.search(path.read_text("utf-8"))] == []


async def test_a_cancelled_download_closes_its_file(tmp_path: Path) -> None:
    writer, never = FileWriter(tmp_path / "f"), asyncio.Event()
    begun = asyncio.Event()

    async def download() -> None:
        async with writer as file:
            await file.write(b"x")
            begun.set()
            await never.wait()

    task = asyncio.create_task(download())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert writer._file.closed
    assert writer.sha256 == ""


async def test_a_cancelled_upload_closes_its_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    begun, never = asyncio.Event(), asyncio.Event()

    async def upload() -> None:
        stream = HashingStream(tmp_path / "f", "f", None)()
        try:
            async for _ in stream:
                begun.set()
                await never.wait()
        finally:
            await stream.aclose()

    task = asyncio.create_task(upload())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert str(tmp_path / "f") not in _open_files()


def _open_files() -> set[str]:
    links = Path("/proc/self/fd").iterdir()
    return {str(link.readlink()) for link in links if link.is_symlink()}


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Let SIGINT interrupt: a shell without job control starts its background jobs with it ignored."""
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, inherited)


@pytest.mark.usefixtures("interrupts")
def test_an_interrupt_ends_an_iteration_when_what_it_waits_for_is_closed() -> None:
    closed = []

    async def endless() -> AsyncGenerator[int]:
        try:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            await asyncio.Event().wait()
            yield 1
        finally:
            await asyncio.to_thread(closed.append, True)  # as a connection takes turns to close

    with pytest.raises(KeyboardInterrupt):
        next(_items(endless()))
    assert closed
