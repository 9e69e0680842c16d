"""Where bytes lie: the keys of objects, the same for every kind of store."""

from __future__ import annotations

import re

from regista.wire.digests import NoDigest, check_path

QUARANTINE = "quarantine"
VERIFIED = "verified"
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_UPLOAD = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)


class NoSuchPlace(ValueError):  # noqa: N818 - what the text does not name
    """The text names no place where an artifact may lie; the message says what would."""


def hex_of(digest: str) -> str:
    """The 64 hex digits of `sha256:<hex>`. Raises NoSuchPlace."""
    algorithm, _, digits = digest.partition(":")
    if algorithm != "sha256" or not _HEX.fullmatch(digits):
        raise NoSuchPlace(
            f"{digest!r:.80} is no artifact digest: expected sha256: and 64 lower-case hex digits."
        )
    return digits


def stream_of(digest: str) -> str:
    """The stream of an artifact. Raises NoSuchPlace."""
    return stream_of_hex(hex_of(digest))


def stream_of_hex(hex_: str) -> str:
    """The same for digits that are known to be good."""
    return f"artifact-{hex_}"


def upload_prefix(upload_id: str) -> str:
    """Where the files of an upload lie. Raises NoSuchPlace for anything but a UUID in its usual form."""
    if not _UPLOAD.fullmatch(upload_id):
        raise NoSuchPlace(f"{upload_id!r:.80} is no upload id: use the one that POST /v1/uploads answered.")
    return f"{QUARANTINE}/{upload_id}"


def claimed_prefix(location: str, bucket: str) -> str:
    """The key prefix that a claimed location names: an upload id, or `s3://<our bucket>/quarantine/…`.

    Raises NoSuchPlace.
    """
    if not location.startswith("s3://"):
        return upload_prefix(location)
    named, _, key = location.removeprefix("s3://").rstrip("/").partition("/")
    try:
        check_path(key)
    except NoDigest as e:
        raise NoSuchPlace(f"{location!r:.200} is no place for uploads: {e}.") from None
    if named != bucket or not key.startswith(f"{QUARANTINE}/"):
        raise NoSuchPlace(
            f"{location!r:.200} is no place for uploads: use POST /v1/uploads, or a key below s3://{bucket}/{QUARANTINE}/."
        )
    return key


def verified_prefix(hex_: str, generation: int) -> str:
    """Where one generation of an artifact lies.

    No generation is ever used twice, so a late DELETE cannot hit newer bytes.
    """
    return f"{VERIFIED}/{hex_}/g{generation}"


def generation_of(key: str) -> int:
    """The generation that a key below `verified/<hex>/` belongs to; 0 for a key that is none of ours."""
    parts = key.split("/")
    return (
        int(parts[2][1:])
        if len(parts) > 3 and parts[0] == VERIFIED and re.fullmatch(r"g[0-9]{1,9}", parts[2], re.ASCII)
        else 0
    )
