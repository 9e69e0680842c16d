"""Where an instance keeps its things: folders, passwords, ports. All of it lives under one ignored folder."""

from __future__ import annotations

import json
import os
import random
import secrets
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"
PORTS = range(
    20_000, 32_000
)  # below those that systems give to outgoing connections, which would take a stopped server's port
PATIENCE = 120.0  # seconds for a server to get ready; one that ends is noticed at once, so this is for slow machines only
REPOSITORY = Path(__file__).resolve().parents[2]


class LocalError(Exception):
    """The local machine lacks something. The message says what to do about it."""


def home() -> Path:
    """The ignored folder that holds everything: `REGISTA_HOME`, else `.regista` beside the sources."""
    return Path(os.environ.get("REGISTA_HOME") or REPOSITORY / ".regista").resolve()


def write_private(path: Path, text: str) -> None:
    """Replaces a file in one step; nobody but its owner may read it, at no moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)


@dataclass(frozen=True, slots=True)
class Place:
    """One instance: servers and services that belong together, with their data.

    `directory` is its whole world.
    """

    directory: Path

    @classmethod
    def named(cls, instance: str) -> Place:
        """The instance of that name under `home()`."""
        return cls(home() / instance)

    def folder(self, *parts: str) -> Path:
        """A folder of the instance for its owner only, made if it is missing.

        The instance's own others may pass: a server may run as another user.
        """
        path = self.directory
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o711)
        for part in parts:
            path = path / part
            path.mkdir(exist_ok=True)
            path.chmod(0o700)
        return path

    def log(self, name: str) -> Path:
        """The log file of one process."""
        return self.folder("logs") / f"{name}.log"

    def secret(self, name: str) -> str:
        """A generated password, the same at each start, in a file of mode 0600."""
        path = self.folder("secrets") / name
        if not path.exists():
            write_private(path, secrets.token_urlsafe(24))
        return path.read_text().strip()

    def read(self, name: str) -> dict[str, Any]:
        """A JSON file of the instance, or nothing."""
        try:
            found: dict[str, Any] = json.loads((self.directory / name).read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return found

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Keeps a JSON file, readable by its owner only."""
        write_private(self.folder() / name, json.dumps(content, indent=2))

    def ports(self, names: Sequence[str]) -> dict[str, int]:
        """A free loopback port for each name; the ones of the last start where nobody took them since."""
        known = self.read("ports.json")
        chosen = _free_ports({name: int(known.get(name, 0)) for name in names})
        self.write("ports.json", known | chosen)
        return chosen


def _free_ports(wanted: Mapping[str, int]) -> dict[str, int]:
    """Holds all sockets open until each has a port of its own, so that no two names get the same."""
    others = iter(random.sample(PORTS, len(PORTS)))
    with ExitStack() as held:
        return {name: _held(chain([port] if port else [], others), held) for name, port in wanted.items()}


def _held(candidates: Iterable[int], held: ExitStack) -> int:
    """The first port that can be listened on: two sockets may bind the same one as long as neither listens."""
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
        f"no port from {PORTS[0]} to {PORTS[-1]} is free on {LOOPBACK}: stop what listens there (`regista down` for another instance)"
    )
