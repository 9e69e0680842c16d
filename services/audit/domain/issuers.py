"""Compute which issuers were trusted at a moment, with which settings and groups, from their events. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import takewhile
from typing import Any

from services.audit.domain.as_of import Event
from services.audit.domain.rights import given

SETTINGS = ("issuer", "audience", "client_id", "groups_claim")
LISTS = ("scopes", "algorithms")


def issuer_then(key: str, events: Iterable[Event], at: datetime) -> dict[str, Any] | None:
    """Return an issuer as it was at `at`, None before it was first trusted.

    `ended` is what ended the trust; the roles of its groups have no effect then. `events` are those of its
    stream, in their order.
    """
    found: dict[str, Any] | None = None
    groups: dict[tuple[Any, ...], dict[str, Any]] = {}
    for event in takewhile(lambda event: event["recorded_at"] <= at, events):
        data = event["data"]
        mapped = {name: data.get(name) for name in ("group", "role", "namespace")}
        match event["type"]:
            case "IssuerTrusted":
                settings = {name: data.get(name) for name in SETTINGS}
                lists = {name: list(data.get(name) or ()) for name in LISTS}
                found = {"key": key} | settings | lists | {"trusted": _decided(event), "ended": None}
            case "IssuerDistrusted" if found:
                found["ended"] = _decided(event)
            case "GroupMapped":
                groups.setdefault(tuple(mapped.values()), mapped | {"mapped": _decided(event)})
            case "GroupUnmapped":
                groups.pop(tuple(mapped.values()), None)
    return found and found | {"groups": list(groups.values())}


def _decided(event: Event) -> dict[str, Any]:
    return given(event) | {"reason": event["reason"]}
