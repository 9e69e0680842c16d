"""The log files of an instance are bounded, and no line is lost on the way into them or out of them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.local import log_writer
from services.local.log_writer import OLDER, LogFile, LogWriter, files_of, rotate_if_full, write_all
from services.local.logs import Tail
from services.local.processes import Child, send_output, spawn
from tests.unit.local.waiting import until

SMALL = 1_000


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[LogWriter]:
    """A writer with one pipe, `x.log`."""
    made = LogWriter()
    made.start([tmp_path / "x.log"], tmp_path / "errors.log")
    send_output(made.outputs())
    yield made
    send_output({})
    made.close()


def written(log: Path) -> list[str]:
    return [line for file in files_of(log) if file.exists() for line in file.read_text().splitlines()]


def printing(code: str, log: Path) -> Child:
    return spawn("x", [sys.executable, "-c", code], log=log)


def test_a_full_file_moves_on_and_the_oldest_goes(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log", SMALL)
    log.write(b"".join(b"line %d\n" % n for n in range(2_000)))
    log.close()
    files = [file for file in files_of(tmp_path / "x.log") if file.exists()]
    assert len(files) == OLDER + 1 == len(list(tmp_path.iterdir()))
    assert max(file.stat().st_size for file in files) <= SMALL
    kept = written(tmp_path / "x.log")
    assert kept == [f"line {n}" for n in range(2_000 - len(kept), 2_000)]


def test_a_line_is_never_divided_between_two_files(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log", SMALL)
    for n in range(100):
        text = b"%03d %s\n" % (n, b"x" * 90)
        log.write(text[:40])
        log.write(text[40:])
    log.close()
    assert {len(line) for line in written(tmp_path / "x.log")} == {94}


def test_bytes_that_are_no_text_and_an_unfinished_line_are_written_as_they_came(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log")
    log.write(b"\xff\x00 raw\nhalf")
    log.close()
    assert (tmp_path / "x.log").read_bytes() == b"\xff\x00 raw\nhalf\n"


def test_a_line_without_an_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log")
    for _ in range(5):
        log.write(b"x" * log_writer.LONGEST_LINE)
    assert len(log._begun) <= log_writer.LONGEST_LINE
    log.close()


def test_every_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    pipes = {tmp_path / name: os.pipe() for name in ("a.log", "b.log")}
    for path, (_, write) in pipes.items():
        os.write(write, path.name.encode())
        os.close(write)
    write_all({path: read for path, (read, _) in pipes.items()})
    assert [path.read_text() for path in pipes] == ["a.log\n", "b.log\n"]
    for read, _ in pipes.values():
        os.close(read)


def test_what_a_killed_process_wrote_last_is_in_its_log(writer: LogWriter, tmp_path: Path) -> None:
    child = printing(
        "import os; [print(n, flush=True) for n in range(1000)]; os.kill(os.getpid(), 9)",
        tmp_path / "x.log",
    )
    child.popen.wait()
    until(lambda: written(tmp_path / "x.log") == [str(n) for n in range(1000)])


@pytest.mark.slow
def test_a_writer_that_is_killed_is_started_again_and_no_line_is_lost(
    writer: LogWriter, tmp_path: Path
) -> None:
    log = tmp_path / "x.log"
    child = printing("for n in range(3): print(n, flush=True); input()", log)
    child.popen.wait()  # it has no input: it ends after the first line
    until(lambda: "0" in written(log))
    assert writer.popen
    before = writer.popen
    before.send_signal(signal.SIGKILL)
    before.wait()
    printing("print('while there was no writer')", log).popen.wait()
    writer.check()
    until(lambda: "while there was no writer" in written(log))
    assert writer.popen is not before


@pytest.mark.slow
def test_the_writer_writes_what_is_left_after_its_owner_was_killed_and_ends(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    program = (
        "import os, signal; from pathlib import Path; from services.local.log_writer import LogWriter\n"
        f"log = Path({str(log)!r}); w = LogWriter(); w.start([log], log.with_name('errors.log'))\n"
        "os.write(w.outputs()[log], b'the last words\\n'); print(w.popen.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    owner = printing(program, tmp_path / "owner.log")
    owner.popen.wait()
    pid = int((tmp_path / "owner.log").read_text())
    until(lambda: written(log) == ["the last words"])
    until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text())


@pytest.mark.slow
def test_a_full_disk_drops_lines_and_stops_neither_the_writer_nor_a_process(tmp_path: Path) -> None:
    full, log = Path("/dev/full"), tmp_path / "x.log"
    made = LogWriter()
    made.start([full, log], tmp_path / "errors.log")
    for n in range(1_000):
        os.write(made.outputs()[full], b"x" * 10_000 + b"\n")
        os.write(made.outputs()[log], b"%d\n" % n)
    made.close()
    assert written(log) == [str(n) for n in range(1_000)]


def test_a_log_of_commands_begins_a_new_file_when_it_is_full(tmp_path: Path) -> None:
    log = tmp_path / "migrate.log"
    log.write_text("x" * SMALL)
    rotate_if_full(log, SMALL)
    assert [file.name for file in files_of(log) if file.exists()] == ["migrate.log.1", "migrate.log"]
    rotate_if_full(log, SMALL)
    assert not (tmp_path / "migrate.log.2").exists()


def test_a_reader_misses_no_line_while_files_move_on(tmp_path: Path) -> None:
    log, tail = LogFile(tmp_path / "x.log", SMALL), Tail("x", tmp_path / "x.log")
    read: list[str] = []
    for n in range(0, 500, 50):
        log.write(b"".join(b"line %d\n" % one for one in range(n, n + 50)))
        read += tail.new_lines()
    log.close()
    assert read == [f"line {n}" for n in range(500)]


def test_a_reader_that_is_too_far_behind_goes_on_with_the_oldest_file(tmp_path: Path) -> None:
    log, tail = LogFile(tmp_path / "x.log", SMALL), Tail("x", tmp_path / "x.log")
    log.write(b"first\n")
    assert list(tail.new_lines()) == ["first"]
    log.write(b"".join(b"line %d\n" % n for n in range(2_000)))
    log.close()
    kept = written(tmp_path / "x.log")
    assert list(tail.new_lines()) == kept
    assert kept[-1] == "line 1999"


@pytest.mark.parametrize("number", [1, 20, 200])
def test_the_last_lines_come_from_older_files_too(tmp_path: Path, number: int) -> None:
    log, tail = LogFile(tmp_path / "x.log", SMALL), Tail("x", tmp_path / "x.log")
    log.write(b"".join(b"line %d\n" % n for n in range(2_000)))
    assert tail.last_lines(number) == [f"line {n}" for n in range(2_000 - number, 2_000)]
    log.write(b"and one\n")
    log.close()
    assert list(tail.new_lines()) == ["and one"]


def test_the_last_lines_of_a_long_file_are_its_last(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text("".join(f"line {n}\n" for n in range(200_000)))
    assert Tail("x", tmp_path / "x.log").last_lines(1) == ["line 199999"]
