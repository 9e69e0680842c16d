"""Report why a batch waits, once for each outage."""

from __future__ import annotations

import logging

from shared.foundation.outages import KAFKA, POSTGRES
from shared.foundation.postgres import CONNECTION_ERRORS, Unavailable
from shared.foundation.readiness import error_summary
from shared.log.eventlog import LogStopped
from shared.messaging.kafka_errors import KAFKA_ERRORS

log = logging.getLogger(__name__)


def report_outage(error: Exception) -> None:
    """Report an error for which a batch is tried again. A stopped log is reported by readiness."""
    if isinstance(error, KAFKA_ERRORS):
        KAFKA.report(error)
    elif isinstance(error, (Unavailable, *CONNECTION_ERRORS)) and not isinstance(error, LogStopped):
        POSTGRES.report(error)
    elif not isinstance(error, LogStopped):  # which readiness reports
        log.warning("a batch waits: %s", error_summary(error))
