"""The keys of stored objects, the same in every kind of store."""

from __future__ import annotations

import re

from regista.wire.digests import NoDigest, check_path

QUARANTINE = "quarantine"
VERIFIED = "verified"
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_UPLOAD = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_GENERATION = re.compile(r"g[0-9]{1,9}", re.ASCII)


class BadLocation(ValueError):  # noqa: N818 - a wrong value from outside, not a fault
    """The text is no artifact digest, upload id or location of an upload.

    The message states what is expected.
    """


def hex_of(digest: str) -> str:
    """Return the 64 hex digits of `sha256:<hex>`. Raises BadLocation."""
    algorithm, _, digits = digest.partition(":")
    if algorithm != "sha256" or not _HEX.fullmatch(digits):
        raise BadLocation(
            f"{digest!r:.80} is no artifact digest: expected sha256: and 64 lower-case hex digits."
        )
    return digits


def stream_of(digest: str) -> str:
    """Return the stream of the artifact with this digest. Raises BadLocation."""
    return stream_of_hex(hex_of(digest))


def stream_of_hex(hex_: str) -> str:
    """Return the stream of the artifact with these valid hex digits."""
    return f"artifact-{hex_}"


def is_upload_id(location: str) -> bool:
    """Return whether a claimed location is the id of an upload, in the usual form of a UUID."""
    return _UPLOAD.fullmatch(location) is not None


def upload_prefix(upload_id: str) -> str:
    """Return the key prefix of the files of an upload. Raises BadLocation."""
    if not is_upload_id(upload_id):
        raise BadLocation(
            f"{upload_id!r:.80} is no upload id: use the `location` of an upload that was begun."
        )
    return f"{QUARANTINE}/{upload_id}"


def claimed_prefix(location: str, root: str) -> str:
    """Return the key prefix of a claimed location: an upload id, or a URI below `quarantine/` in our store.

    `root` is the URI of the store, with a slash at its end. Raises BadLocation.
    """
    if "://" not in location:
        return upload_prefix(location)
    key = location.removeprefix(root).rstrip("/") if location.startswith(root) else ""
    try:
        if key:
            check_path(key)
    except NoDigest as e:
        raise BadLocation(f"{location!r:.200} is no location of an upload: {e}.") from None
    if not key.startswith(f"{QUARANTINE}/"):
        raise BadLocation(
            f"{location!r:.200} is no location of an upload: "
            f"use that of an upload, or a URI below {QUARANTINE}/ in the store."
        )
    return key


def claimed_folder(location: str, root: str) -> str:
    """Return the folder below `quarantine/` that a claimed location is in. Raises BadLocation.

    It is an upload id, or the subject whose folder it is.
    """
    return claimed_prefix(location, root).split("/")[1]


def verified_prefix(hex_: str, generation: int) -> str:
    """Return the key prefix of one generation of an artifact.

    A generation is never used twice, so a delayed DELETE cannot hit newer bytes.
    """
    return f"{VERIFIED}/{hex_}/g{generation}"


def generation_of(key: str) -> int:
    """Return the generation of a key below `verified/<hex>/`; 0 for any other key."""
    parts = key.split("/")
    is_ours = len(parts) > 3 and parts[0] == VERIFIED and _GENERATION.fullmatch(parts[2])
    return int(parts[2][1:]) if is_ours else 0
