"""Let the system user of a server reach its folder, without access for other users."""

from __future__ import annotations

import errno
import os
import stat
import struct
from pathlib import Path

from services.local.folders import LocalError, home

_ACL, _VERSION = "system.posix_acl_access", struct.pack("<I", 2)
_ENTRY = struct.Struct("<HHI")  # tag, permissions, who
_OWNER, _USER, _GROUP, _MASK, _OTHERS = 1, 2, 4, 16, 32
_NO_ID = 0xFFFFFFFF
_PASS = 1


def allow_traversal(path: Path, uid: int) -> None:
    """Let a user traverse (not list) every folder above `path`.

    Folders below `home()` are opened by mode, others by an ACL entry for this user alone. Raises LocalError
    where a folder outside `home()` does not support such an entry, because its mode is for its owner to
    change.
    """
    for parent in path.resolve().parents:
        mode = parent.stat().st_mode
        if mode & stat.S_IXOTH:
            continue
        if parent.is_relative_to(home()):
            parent.chmod(mode | stat.S_IXOTH)
            continue
        try:
            _add_entry(parent, uid)
        except OSError as refused:
            raise LocalError(
                f"{parent} is closed to the system user that PostgreSQL runs as ({refused.strerror}): "
                "keep everything elsewhere "
                f"(for example REGISTA_HOME=/var/lib/regista), or open that folder (chmod o+x {parent})"
            ) from None


def _add_entry(folder: Path, uid: int) -> None:
    try:
        held = os.getxattr(folder, _ACL)
    except OSError as none_yet:
        if none_yet.errno != errno.ENODATA:
            raise
        mode = folder.stat().st_mode
        entries = {
            (_OWNER, _NO_ID): mode >> 6 & 7,
            (_GROUP, _NO_ID): mode >> 3 & 7,
            (_OTHERS, _NO_ID): mode & 7,
        }
    else:
        entries = {(tag, who): allowed for tag, allowed, who in _ENTRY.iter_unpack(held[len(_VERSION) :])}
    entries[_USER, uid] = entries.get((_USER, uid), 0) | _PASS
    entries[_MASK, _NO_ID] = entries.get((_MASK, _NO_ID), entries[_GROUP, _NO_ID]) | _PASS
    os.setxattr(
        folder,
        _ACL,
        _VERSION
        + b"".join(_ENTRY.pack(tag, allowed, who) for (tag, who), allowed in sorted(entries.items())),
    )
