"""Report what a batch of messages waits for, once for each outage."""

from __future__ import annotations

import logging

from shared.foundation.outages import KAFKA, POSTGRES
from shared.foundation.postgres import CONNECTION_ERRORS, Unavailable
from shared.foundation.telemetry import error_summary
from shared.log.eventlog import LogStopped
from shared.messaging.kafka_errors import KAFKA_ERRORS

log = logging.getLogger(__name__)


def report_outage(error: Exception) -> None:
    """Report the server that does not answer. Readiness reports a stopped log."""
    if isinstance(error, LogStopped):
        return
    if isinstance(error, KAFKA_ERRORS):
        KAFKA.report(error)
    elif isinstance(error, (Unavailable, *CONNECTION_ERRORS)):
        POSTGRES.report(error)
    else:
        log.warning("a batch waits: %s", error_summary(error))
