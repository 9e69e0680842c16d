"""Keep the key of a job until it ends: its token counts once, and a job has several processes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from regista.client.profile import config_file

EARLY = 60.0  # seconds before its end at which a key is replaced
PATIENCE = 60.0  # seconds for another process that exchanges the same token
_MEMORY: dict[str, JobKey] = {}
_LOCK = threading.Lock()


class JobKey(msgspec.Struct, frozen=True):
    """An API key of a publisher, and the signing key beside it, in its file format. Times: since 1970."""

    api_key: str
    publisher: str
    started_by: str
    expires_at: float
    lifetime: float
    signing_key: str = ""

    def fresh(self, now: float) -> bool:
        """Return whether the key need not be replaced yet."""
        return now < self.expires_at - min(EARLY, self.lifetime / 2)

    def valid(self, now: float) -> bool:
        """Return whether services still accept the key."""
        return now < self.expires_at


class KeptKeys:
    """The keys of this machine's jobs, by registry and token: in memory, and in files of mode 0600.

    A machine whose folder cannot be written keeps them in memory only.
    """

    def __init__(self, registry: str) -> None:
        self._registry = registry
        self._folder = config_file().parent / "jobs"

    def find(self, token: str) -> JobKey | None:
        """Return the key that the token was exchanged for, if it is still valid."""
        name, now = self._name(token), time.time()
        found = _MEMORY.get(name) or self._read(name)
        return found if found is not None and found.valid(now) else None

    def keep(self, token: str, key: JobKey) -> None:
        """Keep a key, and delete those that have ended."""
        name = self._name(token)
        _MEMORY[name] = key
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._delete_ended()
            partial = self._folder / f".{name}.{secrets.token_hex(6)}"
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(key))
            partial.replace(self._path(name))

    @contextlib.contextmanager
    def locked(self, token: str) -> Iterator[None]:
        """Let one thread and one process at a time exchange the token."""
        with _LOCK, contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError, Timeout):
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                path = self._path(self._name(token)).with_suffix(".lock")
                stack.enter_context(FileLock(path, timeout=PATIENCE, mode=0o600))
            yield

    def _read(self, name: str) -> JobKey | None:
        try:
            return msgspec.json.decode(self._path(name).read_bytes(), type=JobKey)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def _delete_ended(self) -> None:
        for path in self._folder.glob("*.json"):
            key = self._read(path.stem)
            if key is None or not key.valid(time.time()):
                path.unlink(missing_ok=True)
                path.with_suffix(".lock").unlink(missing_ok=True)

    def _name(self, token: str) -> str:
        return hashlib.sha256(f"{self._registry}\n{token}".encode()).hexdigest()[:24]

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"
