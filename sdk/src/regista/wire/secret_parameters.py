"""Which parameters of a URL give access: no version, log line or event may have their values."""

from __future__ import annotations

_NAMES = frozenset({"sig", "se", "sp"})
"""Of Azure's shared access signatures: the signature, its end, its permissions."""
_BEGIN = ("x-amz-", "x-goog-", "x-oss-")
_PARTS = ("signature", "secret", "passw", "credential", "accesskey", "accessid", "apikey")


def is_secret(name: str) -> bool:
    """Return whether a parameter of this name, without escapes, has a value that gives access."""
    lower = name.lower()
    plain = lower.replace("_", "").replace("-", "")
    if lower in _NAMES or lower.startswith(_BEGIN) or plain.endswith("token"):
        return True
    return any(part in plain for part in _PARTS)
