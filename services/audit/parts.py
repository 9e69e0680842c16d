"""What audit's process keeps in memory besides what every service has."""

from __future__ import annotations

from dataclasses import dataclass

from regista.wire.keys import SigningKey
from services.audit.export.process import Exports
from services.audit.export.stores import HistoryStore
from services.audit.log_verification.verifier import Verifier
from services.audit.public_events.feeds import PublicEvents


@dataclass(frozen=True, slots=True)
class Parts:
    """`key` signs checkpoints. `store` takes exported files; it is None where the log is not exported.

    `public_events` are the feeds of public events that callers have open.
    """

    key: SigningKey
    verifier: Verifier
    exports: Exports
    store: HistoryStore | None
    public_events: PublicEvents
