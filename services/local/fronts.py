"""The processes of an instance, in the order of their ports."""

from __future__ import annotations

from services.kafka.topics import SERVICES

FRONTS = ("console", "mlflow")
"""The services that have no database, key or topic: they pass requests on to the others."""
OPTIONAL = ("mirror",)
"""Services that `regista up` starts only on request (`--with`)."""
PROCESSES = (*(name for name in SERVICES if name not in OPTIONAL), *FRONTS, *OPTIONAL)
"""What `regista up` can run beside the servers."""
