"""Identities and trusted issuers over HTTP. Only an admin changes those of others."""

from __future__ import annotations

from services.registry.access.api import identities, issuers, keys, roles

ROUTES = (*identities.ROUTES, *keys.ROUTES, *roles.ROUTES, *issuers.ROUTES)
