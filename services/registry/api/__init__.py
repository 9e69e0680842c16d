"""HTTP → command → transact; GET → queries. One module for each kind of path."""

from __future__ import annotations

from services.registry.access import api as access
from services.registry.api import (
    aliases,
    comparison,
    decisions,
    environments,
    labels,
    lineage,
    models,
    moments,
    publications,
    remarks,
    rollouts,
    versions,
    withdrawals,
)

ROUTES = (
    *models.ROUTES,
    *moments.ROUTES,
    *versions.ROUTES,
    *remarks.ROUTES,
    *comparison.ROUTES,
    *lineage.ROUTES,
    *decisions.ROUTES,
    *withdrawals.ROUTES,
    *rollouts.ROUTES,
    *aliases.ROUTES,
    *environments.ROUTES,
    *labels.ROUTES,
    *publications.ROUTES,
    *access.ROUTES,
)
