"""Write the output of an instance's processes to log files of bounded size.

Each process writes to a pipe. One process, `python -m services.local.log_writer`, reads all pipes and writes
`<name>.log`; when a file is full, it becomes `<name>.log.1`, the older ones move on, and the oldest goes.
The supervisor holds both ends of the pipes, so the writer can be killed and started again: what it did not
read is still in the pipe. The writer ends when the last process that can write has ended, also when the
supervisor was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import selectors
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from logging.handlers import RotatingFileHandler
from pathlib import Path

from services.local.folders import MEGABYTE, REPOSITORY

MOST_BYTES, OLDER = 8 * MEGABYTE, 3
"""Size of one file, and the number of older files that are kept beside it."""
PIPE = MEGABYTE
"""Bytes that a process can write while the writer does not run."""
LONGEST_LINE = MEGABYTE
_SET_PIPE_SIZE = getattr(fcntl, "F_SETPIPE_SZ", None)


def await_written(pipe: int, seconds: float = 1.0) -> None:
    """Wait until the writer has read what is in the pipe and had a moment to write it."""
    deadline = time.monotonic() + seconds
    waiting = bytearray(4)
    while time.monotonic() < deadline:
        fcntl.ioctl(pipe, termios.FIONREAD, waiting)
        if not any(waiting):
            break
        time.sleep(0.01)
    time.sleep(0.05)


def files_of(log: Path) -> list[Path]:
    """Return the log's files, the oldest first, the present one last."""
    return [log.with_name(f"{log.name}.{number}") for number in range(OLDER, 0, -1)] + [log]


@dataclass(slots=True)
class LogFile:
    """Writes complete lines to a file that rotates. What cannot be written, on a full disk, is dropped."""

    path: Path
    most_bytes: int = MOST_BYTES
    _handler: RotatingFileHandler = field(init=False)
    _begun: bytes = b""

    def __post_init__(self) -> None:
        self._handler = _Rotating(
            self.path, maxBytes=self.most_bytes, backupCount=OLDER, encoding="utf-8", errors="surrogateescape"
        )

    def write(self, output: bytes) -> None:
        """Write the lines that are complete now."""
        *lines, self._begun = (self._begun + output).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._begun) > LONGEST_LINE:
            self.flush()

    def flush(self) -> None:
        """Write a line that is not complete: its process has ended."""
        if self._begun:
            self._line(self._begun)
            self._begun = b""

    def close(self) -> None:
        self.flush()
        with contextlib.suppress(OSError):  # a full disk
            self._handler.close()

    def _line(self, line: bytes) -> None:
        text = line.decode("utf-8", "surrogateescape")
        self._handler.handle(logging.LogRecord("", logging.INFO, "", 0, text, None, None))


class _Rotating(RotatingFileHandler):
    """Rotates without writing about its own faults: there is no other place for them than the full disk."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Drop the line."""


def rotate_if_full(log: Path, most_bytes: int = MOST_BYTES) -> None:
    """Begin a new file if the log is full: for output that a command writes to the file itself."""
    if log.exists() and log.stat().st_size >= most_bytes:
        handler = _Rotating(log, backupCount=OLDER)
        handler.doRollover()
        handler.close()


def write_all(pipes: Mapping[Path, int], most_bytes: int = MOST_BYTES) -> None:
    """Read every pipe to its end, and write each to its file."""
    with selectors.DefaultSelector() as selector:
        for path, pipe in pipes.items():
            selector.register(pipe, selectors.EVENT_READ, LogFile(path, most_bytes))
        while selector.get_map():
            for key, _ in selector.select():
                if output := os.read(key.fd, PIPE):
                    key.data.write(output)
                else:
                    key.data.close()
                    selector.unregister(key.fd)


@dataclass(slots=True)
class LogWriter:
    """The writer's process and the pipes, on the side of the supervisor."""

    pipes: dict[Path, tuple[int, int]] = field(default_factory=dict)
    """By log file: the end that the writer reads, and the end that the process writes."""
    popen: subprocess.Popen[bytes] | None = None
    errors: Path = Path(os.devnull)

    def start(self, logs: Sequence[Path], errors: Path) -> None:
        """Make a pipe for each log and start the writer. Its own errors go to another file."""
        self.errors = errors
        for log in logs:
            self.pipes[log] = os.pipe()
            if _SET_PIPE_SIZE is not None:
                fcntl.fcntl(self.pipes[log][1], _SET_PIPE_SIZE, PIPE)
        self._launch()

    def _launch(self) -> None:
        reads = [read for read, _ in self.pipes.values()]
        named = [f"{read}={log}" for log, (read, _) in self.pipes.items()]
        with self.errors.open("ab") as errors:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "services.local.log_writer", *named],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                cwd=REPOSITORY,
                pass_fds=reads,
                start_new_session=True,  # it outlives its owner, to write what the others wrote last
            )

    def check(self) -> None:
        """Start the writer again when it has ended. It goes on with what is in the pipes."""
        if self.popen is not None and self.popen.poll() is not None:
            self._launch()

    def outputs(self) -> dict[Path, int]:
        """Return for each log the descriptor that its process writes to."""
        return {log: write for log, (_, write) in self.pipes.items()}

    def close(self) -> None:
        """Wait until everything is written. Call it when all processes have ended."""
        for read, write in self.pipes.values():
            os.close(read)
            os.close(write)
        self.pipes.clear()
        if self.popen is not None:
            try:
                self.popen.wait(10)
            except subprocess.TimeoutExpired:  # a process that could not be ended still writes
                return


def main(arguments: Sequence[str]) -> None:
    """Read the pipes of `DESCRIPTOR=FILE …`."""
    pairs = [one.partition("=") for one in arguments]
    write_all({Path(path): int(descriptor) for descriptor, _, path in pairs})


if __name__ == "__main__":
    main(sys.argv[1:])
