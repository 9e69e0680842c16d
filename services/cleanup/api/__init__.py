"""HTTP → command → transact; GET → queries. One module for each thing that has a path."""

from __future__ import annotations

from services.cleanup.api import retention, sweeps, usage

ROUTES = (*retention.ROUTES, *sweeps.ROUTES, *usage.ROUTES)
