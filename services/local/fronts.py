"""The services that have no database, key or topic: they pass requests on to the others."""

from __future__ import annotations

from services.kafka.topics import SERVICES

FRONTS = ("console", "mlflow")
PROCESSES = (*SERVICES, *FRONTS)
"""What `regista up` runs beside the servers."""
