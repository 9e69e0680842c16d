"""The folder of an instance: subfolders, passwords, logs and ports, below one ignored folder."""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import socket
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

STORES = ("s3", "azure")
"""The kinds of object stores that an instance can have."""
LOOPBACK = "127.0.0.1"
PORTS = range(20_000, 32_000)
"""Below the ports of outgoing connections, which could take the port of a stopped server."""
PATIENCE = 120.0
"""Seconds for a server to become ready. One that ends is detected immediately."""
MEGABYTE = 1024 * 1024
FIRST_START, LATER_START = 1024 * MEGABYTE, 128 * MEGABYTE
"""Free bytes that servers need to create their files, and to start again."""
REPOSITORY = Path(__file__).resolve().parents[2]


class LocalError(Exception):
    """Something is missing on the local machine. The message states what to do."""


def home() -> Path:
    """Return the folder that contains everything: `REGISTA_HOME`, else `.regista` beside the sources."""
    return Path(os.environ.get("REGISTA_HOME") or REPOSITORY / ".regista").resolve()


def free_space(path: Path) -> int:
    """Return the free bytes of the disk on which the path is, or will be."""
    return shutil.disk_usage(next(folder for folder in (path, *path.parents) if folder.exists())).free


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step. Only its owner can read it, at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)


@dataclass(frozen=True, slots=True)
class InstanceFolder:
    """The folder of one instance: servers and services that belong together, with their data."""

    directory: Path

    @classmethod
    def named(cls, instance: str) -> InstanceFolder:
        """Return the folder of the instance of that name under `home()`."""
        return cls(home() / instance)

    def subfolder(self, *parts: str) -> Path:
        """Return a subfolder that only its owner can list, and create it if it is missing.

        The instance's folder can be traversed by other users, because a server may run as another user.
        """
        path = self.directory
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o711)
        for part in parts:
            path = path / part
            path.mkdir(exist_ok=True)
            path.chmod(0o700)
        return path

    def check_space(self, free: Callable[[Path], int] = free_space) -> None:
        """Raise LocalError when the servers could not create or write their files here."""
        first = not (self.directory / "postgres").exists()
        needed, found = FIRST_START if first else LATER_START, free(self.directory)
        if found < needed:
            raise LocalError(
                f"{self.directory} has {found // MEGABYTE:,} MiB of free space, and a"
                f" {'first' if first else 'later'} start needs {needed // MEGABYTE:,} MiB: free some, or set"
                " REGISTA_HOME to a folder on another disk"
            )

    def log(self, name: str) -> Path:
        """Return the log file of one process."""
        return self.subfolder("logs") / f"{name}.log"

    def secret(self, name: str) -> str:
        """Return a generated password from a file of mode 0600; the same at each start."""
        return self.secret_file(name).read_text().strip()

    def secret_file(self, name: str) -> Path:
        """Return the file of that password."""
        path = self.subfolder("secrets") / name
        if not path.exists():
            write_private(path, secrets.token_urlsafe(24))
        return path

    def read(self, name: str) -> dict[str, Any]:
        """Return the content of a JSON file, or an empty dict."""
        try:
            found: dict[str, Any] = json.loads((self.directory / name).read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return found

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file that only its owner can read."""
        write_private(self.subfolder() / name, json.dumps(content, indent=2))

    def ports(self, names: Sequence[str]) -> dict[str, int]:
        """Return a free loopback port for each name: the port of the last start unless it is in use now."""
        known = self.read("ports.json")
        chosen = free_ports({name: int(known.get(name, 0)) for name in names})
        self.write("ports.json", known | chosen)
        return chosen


def free_ports(wanted: Mapping[str, int]) -> dict[str, int]:
    """Hold all sockets open until each name has a port, so that no two names get the same."""
    others = iter(random.sample(PORTS, len(PORTS)))
    with ExitStack() as held:
        return {name: _held(chain([port] if port else [], others), held) for name, port in wanted.items()}


def _held(candidates: Iterable[int], held: ExitStack) -> int:
    """Return the first port that can be listened on: two sockets may bind the same port until one listens."""
    for port in candidates:
        with ExitStack() as tried:
            one = tried.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind((LOOPBACK, port))
                one.listen(1)
            except OSError:
                continue
            held.push(tried.pop_all())
            return port
    raise LocalError(
        f"no port from {PORTS[0]} to {PORTS[-1]} is free on {LOOPBACK}: "
        "stop what listens there (`regista down` for another instance)"
    )
