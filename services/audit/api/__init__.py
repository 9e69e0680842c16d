"""Answer HTTP requests: questions about the past, proofs of the answers, the exported log, public events."""

from __future__ import annotations

from services.audit.api import (
    exported_log,
    invariants,
    issuers,
    moments,
    proofs,
    public_events,
    questions,
    reports,
)

ROUTES = (
    *questions.ROUTES,
    *reports.ROUTES,
    *moments.ROUTES,
    *issuers.ROUTES,
    *proofs.ROUTES,
    *invariants.ROUTES,
    *exported_log.ROUTES,
    *public_events.ROUTES,
)
