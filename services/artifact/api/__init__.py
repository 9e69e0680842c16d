"""HTTP → command → transact; GET → queries. One module for each thing that has a path."""

from __future__ import annotations

from services.artifact.api import artifacts, uploads

ROUTES = (*uploads.ROUTES, *artifacts.ROUTES)
