"""The passwords of Kafka users, one file for each."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from pathlib import Path

from services.kafka.connection import ClusterError

_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


def password_of(folder: Path, user: str) -> str:
    """Return the password in the user's file. Without a file, generate one that only its owner reads.

    The file is there before Kafka has the password, and is never replaced: two calls, or one after a kill,
    return the same password. Raises ClusterError.
    """
    if not _FILE.fullmatch(user):
        raise ClusterError(
            f"{user!r} cannot have a password file: create this user yourself, with --no-users"
        )
    file = folder / user
    try:
        if not file.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _create(file, secrets.token_urlsafe(24))
        password = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as wrong:
        raise ClusterError(f"the password of {user} cannot be read or written: {wrong}") from None
    if not password:
        raise ClusterError(f"{file} is empty: write the password of {user} into it, or delete the file")
    return password


def _create(file: Path, text: str) -> None:
    """Write a new file in one step: it has the whole text or does not exist."""
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, file)
    finally:
        temporary.unlink()
