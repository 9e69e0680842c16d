"""Report which issuers were trusted at a moment, and which roles their groups had."""

from __future__ import annotations

from typing import Any

from services.audit import report_queries
from services.audit.api.questions import AUDITOR, check_log_had_begun, indexed_moment, report_faults
from services.audit.domain.issuers import issuer_then
from services.audit.issuer_shapes import IssuersThen
from services.audit.report_shapes import AtQuery
from shared.http.routes import Call, Route


async def get_issuers(call: Call[None, AtQuery]) -> dict[str, Any]:
    """Return the issuers that were trusted until a moment. An admin trusts each, so that they are few."""
    call.require(AUDITOR, "")
    at, _ = await indexed_moment(call, call.query.at)
    found = await report_queries.issuers(call.app.pool)
    await report_faults(call, (event for events in found.values() for event in events))
    items = [one for key, events in found.items() if (one := issuer_then(key, events, at))]
    if not items:
        await check_log_had_begun(call, at)
    return {"at": at, "items": items, "next_page_token": ""}


ROUTES = (
    Route(
        "GET",
        "/v1/reports/issuers",
        get_issuers,
        "Which issuers were trusted at a moment, and which roles their groups had",
        query=AtQuery,
        response=IssuersThen,
        tags=["audit"],
    ),
)
