"""Check that the files of an artifact keep their names on every file system: Linux, Windows and macOS.

Only new artifacts are checked. Manifests that were registered before stay readable (`regista.wire.digests`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Iterable, Mapping

from regista.wire.digests import NoDigest, check_path
from regista.wire.limits import PART_BYTES, PATH_BYTES

DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"}
)
"""Names that Windows opens as devices, with any ending and in any case."""
NOT_ON_WINDOWS = frozenset('<>:"|?*\\')


def problem_of_name(path: str) -> str:
    """Return why a path cannot be a file's name on every file system, or ""."""
    try:
        check_path(path)
    except NoDigest as e:
        return str(e)
    if len(path.encode()) > PATH_BYTES:
        return f"the path {path!r:.100} is too long: at most {PATH_BYTES} bytes are allowed"
    for part in path.split("/"):
        if len(part.encode()) > PART_BYTES:
            return (
                f"{part!r:.100} in the path {path!r:.100} is too long: at most {PART_BYTES} bytes are allowed"
            )
        if wrong := "".join(sorted(NOT_ON_WINDOWS.intersection(part))):
            return f"the path {path!r:.100} has {wrong}, which Windows does not allow in a name"
        if part.endswith((".", " ")):
            return f"{part!r:.100} in the path {path!r:.100} ends with a dot or a blank, which Windows drops"
        if part.partition(".")[0].rstrip(" ").casefold() in DEVICES:
            return f"the part {part!r:.100} of the path {path!r:.100} is the name of a device on Windows"
    return ""


def problem_of_names(paths: Iterable[str]) -> str:
    """Return what is wrong with the paths of one artifact, or "".

    Each path must be usable. No two may be one file, or one a file and the other its folder, where file
    systems ignore case.
    """
    spelled: dict[str, str] = {}
    files: set[str] = set()
    for path in sorted(paths):
        if problem := problem_of_name(path) or conflict(path, spelled, files):
            return problem
        spelled |= spellings(path)
        files.add(path)
    return ""


def spellings(path: str) -> dict[str, str]:
    """Return the path and its folders, by the form in which file systems that ignore case compare them."""
    parts = path.split("/")
    names = ("/".join(parts[:length]) for length in range(1, len(parts) + 1))
    return {unicodedata.normalize("NFC", unicodedata.normalize("NFD", n).casefold()): n for n in names}


def conflict(path: str, spelled: Mapping[str, str], files: Container[str]) -> str:
    """Return why a path cannot be beside the `files` whose `spellings` are given, or ""."""
    for form, name in spellings(path).items():
        first = spelled.get(form, name)
        if first != name:
            return f"{first!r:.100} and {name!r:.100} are one name on Windows and macOS, which ignore case"
        if (name in files) if name != path else (form in spelled and path not in files):
            return f"the path {name!r:.100} is both a file and a folder"
    return ""
