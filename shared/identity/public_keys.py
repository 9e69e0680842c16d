"""Describe the public keys of identities: whose they are, and when what they signed is valid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Signer:
    """The owner of a public key. `public_key` is the raw 32 bytes. The key is valid before `until`.

    `taken`: it was revoked, or its owner disabled, so `until` is not only its expiry. `started_by`: who
    started the job whose key it is.
    """

    subject: str
    kind: str
    public_key: bytes
    until: datetime | None = None
    compromised: bool = False
    taken: bool = False
    started_by: str = ""

    def live(self, at: datetime) -> bool:
        """Return whether the key was valid at that moment."""
        return not self.compromised and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class PublicKeyRecord:
    """A public key with the time in which what it signed is valid: nothing, when it was compromised."""

    subject: str
    key_id: str
    public_key: bytes
    valid_from: datetime
    valid_until: datetime | None
    compromised: bool
