"""Differences of two signatures as changes of a version.

`regista.wire.signature` decides which break callers.
"""

from __future__ import annotations

from regista.wire import signature
from services.registry.domain.model.metadata import Signature
from services.registry.domain.versioning.change import Change


def differences(old: Signature | None, new: Signature | None) -> tuple[Change, ...]:
    """Return what changed between two signatures, each with whether it breaks callers of `old`."""
    found = () if old == new else signature.differences(old, new)
    return tuple(Change("signature", d.path, d.what, d.before, d.after, d.detail, d.breaking) for d in found)


def incompatibilities(used: Signature | None, offered: Signature | None) -> tuple[Change, ...]:
    """Return the changes that break callers of `used` when `offered` serves them."""
    return tuple(change for change in differences(used, offered) if change.breaking)
