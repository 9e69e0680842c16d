"""What audit's process keeps in memory besides what every service has."""

from __future__ import annotations

from dataclasses import dataclass

from regista.wire.keys import SigningKey
from services.audit.export.process import Exports
from services.audit.export.stores import HistoryStore
from services.audit.log_verification.verifier import Verifier


@dataclass(frozen=True, slots=True)
class Parts:
    """`key` signs checkpoints. `store` takes exported files; it is None where the log is not exported."""

    key: SigningKey
    verifier: Verifier
    exports: Exports
    store: HistoryStore | None
