"""Open a file below a folder that others may change at the same time: no link on the way is followed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | _NO_LINK
_FILE = os.O_RDONLY | _NO_LINK | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Opening a pipe does not wait for its writer."""
_ODD = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO})


class NotRegular(Exception):  # noqa: N818 - not shown
    """There is a link on the way, or what is there is no regular file."""


def open_below(root: Path, names: Sequence[str]) -> BinaryIO:
    """Open a regular file by the names of the folders to it, and its own. Raises NotRegular and OSError."""
    if not names or ".." in names:
        raise NotRegular
    try:
        descriptor = _descriptor(root, names)
    except OSError as e:
        if e.errno in _ODD:
            raise NotRegular from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRegular
    return os.fdopen(descriptor, "rb")


def _descriptor(root: Path, names: Sequence[str]) -> int:
    *folders, name = names
    if os.open not in os.supports_dir_fd:  # Windows
        whole = root.joinpath(*names)
        if whole.resolve() != whole:
            raise NotRegular
        return os.open(whole, _FILE)
    folder = os.open(root, _FOLDER)
    try:
        for one in folders:
            inner = os.open(one, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(name, _FILE, dir_fd=folder)
    finally:
        os.close(folder)
