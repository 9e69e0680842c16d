"""Answer HTTP requests: questions about the past, proofs of the answers, and the exported log."""

from __future__ import annotations

from services.audit.api import exported_log, invariants, proofs, questions, reports

ROUTES = (*questions.ROUTES, *reports.ROUTES, *proofs.ROUTES, *invariants.ROUTES, *exported_log.ROUTES)
