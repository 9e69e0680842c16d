"""Promotions: get, override."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from services.approval import queries
from services.approval.api.decisions import decide, shown_name
from services.approval.domain.override import Override
from services.approval.domain.review_events import Adoption
from services.approval.shapes.promotions import OverrideBody, PromotionAnswer
from shared.deciding.decider import NotFound
from shared.http.routes import Call, Route

ARRIVES_WITHIN = 10.0
"""Seconds that an override waits for a promotion requested just now, while Kafka is unavailable."""


async def get_promotion(call: Call) -> dict[str, Any]:
    return await _promotion(call)


async def override_promotion(call: Call[OverrideBody]) -> dict[str, Any]:
    """Grant what the policy has not granted.

    The caller needs the role `override`, which admin does not imply, and with `adopts` also admin.
    """
    adopts = call.body.adopts
    row = await _promotion(call, ARRIVES_WITHIN)
    command = Override(
        promotion_id=row["promotion_id"],
        model_id=row["model_id"],
        number=row["number"],
        by=call.actor.subject,
        reason=call.body.reason,
        name=await shown_name(call),
        adopts=Adoption(**adopts.model_dump()) if adopts else None,
    )
    makers = await queries.makers(call.app.pool, row["promotion_id"])
    await decide(call, row, command, "override", makers, also=("admin",) if adopts else ())
    return await _promotion(call)


async def _promotion(call: Call[Any, Any], patience: float = 0.0) -> dict[str, Any]:
    deadline = time.monotonic() + patience
    while (row := await queries.promotion(call.app.pool, call.path["promotion_id"])) is None:
        if time.monotonic() >= deadline:
            break
        await asyncio.sleep(0.2)
    if row is None or not call.may_read_model(row["model_id"], queries.namespace(row)):
        raise NotFound(
            "unknown_promotion",
            "there is no such promotion yet; check the id that registry returned, or repeat later",
        )
    return row


_PROMOTION = "/v1/promotions/{promotion_id}"
ROUTES = (
    Route(
        "GET",
        _PROMOTION,
        get_promotion,
        "Get the state of a promotion",
        response=PromotionAnswer,
        tags=["promotions"],
    ),
    Route(
        "POST",
        _PROMOTION + ":override",
        override_promotion,
        "Grant a promotion by the break-glass override",
        body=OverrideBody,
        response=PromotionAnswer,
        tags=["promotions"],
    ),
)
