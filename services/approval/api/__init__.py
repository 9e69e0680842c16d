"""HTTP → command → transact; GET → queries. One module for each thing that has a path."""

from __future__ import annotations

from services.approval.api import gates, policies, promotions, reviews

ROUTES = (*policies.ROUTES, *reviews.ROUTES, *promotions.ROUTES, *gates.ROUTES)
