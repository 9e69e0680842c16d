"""HTTP → command → transact; GET → queries. One module for each kind of path."""

from __future__ import annotations

from services.registry.access import api as access
from services.registry.api import aliases, decisions, lineage, models, publications, rollouts, versions

ROUTES = (
    *models.ROUTES,
    *versions.ROUTES,
    *lineage.ROUTES,
    *decisions.ROUTES,
    *rollouts.ROUTES,
    *aliases.ROUTES,
    *publications.ROUTES,
    *access.ROUTES,
)
