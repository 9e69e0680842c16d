"""Answer whether the log is as it must be, and up to where that is verified."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.audit import shapes
from services.audit.log_verification.people import exceptions
from services.audit.log_verification.runs import Run
from services.audit.parts import Parts
from shared.http.routes import Call, Reply, Route

AUDITOR = "auditor"


async def get_invariants(call: Call[None, shapes.InvariantsQuery]) -> dict[str, Any]:
    """Return what all verification found; unless `verify` is false, verify the new leaves before."""
    call.require(AUDITOR, "")
    verifier = call.app.parts_as(Parts).verifier
    report = await (verifier.report if call.query.verify else verifier.verified)(call.app.pool)
    return {
        "holds": report.holds,
        "at": datetime.now(UTC),
        "verified": report.verified,
        "sealed": report.sealed,
        "read_since": report.run.requested_at,
        "full_run": _progress(report.under_way) if report.under_way else None,
        "invariants": report.findings,
        **await exceptions(call.app.pool),
    }


async def post_full_run(call: Call[None, None]) -> Reply:
    """Request that all of the log is read and verified again; return the run that is under way."""
    call.require(AUDITOR, "")
    return Reply(_progress(await call.app.parts_as(Parts).verifier.request(call.app.pool)), status=202)


def _progress(run: Run) -> dict[str, Any]:
    last = run.bounded[-1].last if run.bounded else 0
    return {"requested_at": run.requested_at, "verified": min(run.verified, last or 0), "leaves": last}


ROUTES = (
    Route(
        "GET",
        "/v1/invariants",
        get_invariants,
        "Whether the log is as it must be, and up to where that is verified",
        query=shapes.InvariantsQuery,
        response=shapes.Invariants,
        tags=["audit"],
        timeout=60,
    ),
    Route(
        "POST",
        "/v1/invariants:check",
        post_full_run,
        "Read and verify all of the log again",
        response=shapes.FullRun,
        status=202,
        tags=["audit"],
    ),
)
