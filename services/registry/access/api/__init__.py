"""Identities, trusted issuers and trusted jobs over HTTP. Only an admin changes those of others."""

from __future__ import annotations

from services.registry.access.api import exchange, identities, issuers, keys, links, roles, trusts

ROUTES = (
    *identities.ROUTES,
    *keys.ROUTES,
    *roles.ROUTES,
    *links.ROUTES,
    *issuers.ROUTES,
    *trusts.ROUTES,
    *exchange.ROUTES,
)
