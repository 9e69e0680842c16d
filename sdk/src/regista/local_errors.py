"""Errors of the operating system as errors of the client: the file, what is wrong, and what to do."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from regista.errors import Invalid, RegistaError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """Raise Invalid for a file that cannot be read."""
    try:
        yield
    except FileNotFoundError:
        detail = f"there is no file {shown(name)}"
        raise Invalid("file_missing", detail, advice="Write the file completely, then repeat.") from None
    except OSError as e:
        detail = f"{shown(name)} cannot be read: {e.strerror or e}"
        raise Invalid("file_unreadable", detail, advice="Make it readable, then repeat.") from None


@contextlib.contextmanager
def writing(where: Path) -> Iterator[None]:
    """Raise RegistaError for files that cannot be written; the caller deletes what is half written."""
    try:
        yield
    except OSError as e:
        if e.errno is None:  # a time-out, which is an OSError of Python
            raise
        raise not_written(where, e) from e


def not_written(where: Path, error: OSError) -> RegistaError:
    """Return the error of a file that cannot be written, or of the folder where it should be."""
    named = str(error.filename or where)
    at = shown(named if Path(named).is_relative_to(where) else str(where))
    if error.errno in _FULL:
        advice = "Free space there, or name a folder on another disk (--to, REGISTA_CACHE_DIR), then repeat."
        return RegistaError("disk_full", f"{at} cannot be written: no space is left", advice=advice)
    if error.errno == errno.ENAMETOOLONG:
        advice = "Name a folder with a shorter path (--to, REGISTA_CACHE_DIR), then repeat."
        return RegistaError("path_too_long", f"the path {at} is too long for this file system", advice=advice)
    advice = "Make the folder writable, or name another one (--to, REGISTA_CACHE_DIR), then repeat."
    code = "not_writable" if error.errno in _FORBIDDEN else "file_unusable"
    return RegistaError(code, f"{at} cannot be written: {error.strerror or error}", advice=advice)


def shown(name: str) -> str:
    """Return a file's name for a message: bytes that are no UTF-8 are escaped, a long one is cut."""
    readable = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return readable if len(readable) <= 300 else f"{readable[:140]} … {readable[-140:]}"
