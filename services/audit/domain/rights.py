"""Compute who held which role, and which keys, at a moment, from the events of identities. Pure.

An event is a dict as the API shows it: `type`, `data`, `recorded_at`, `actor`, `event_id`, `leaf_index`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from services.audit.domain.as_of import Event, reference

PARTITION = "access"


def rights(events: Iterable[Event], at: datetime) -> dict[str, Any] | None:
    """Return an identity as it was at `at`: its kind, roles and live keys; None before it was created.

    `disabled` names the event that disabled it; its roles have no effect then, and none of its keys is live.

    `events` are those of its stream, in their order. Each role and each key names the event that gave it.
    """
    found: dict[str, Any] | None = None
    disabled: dict[str, Any] | None = None
    roles: dict[tuple[Any, Any, Any], dict[str, Any]] = {}
    keys: dict[Any, dict[str, Any]] = {}
    for event in events:
        if event["recorded_at"] > at:
            break
        data, given = event["data"], _given(event)
        match event["type"]:
            case "IdentityCreated":
                found = {"subject": data.get("subject"), "kind": data.get("kind"), "created": given}
            case "IdentityDisabled":
                disabled = disabled or given
            case "IdentityEnabled":
                disabled = None
            case "RoleGranted":
                role = {n: data.get(n) for n in ("role", "namespace")} | {"group": data.get("group") or ""}
                roles.setdefault(_role(data), role | {"granted": given})
            case "RoleRevoked":
                roles.pop(_role(data), None)
            case "KeyIssued":
                keys[data.get("key_id")] = {
                    "key_id": data.get("key_id"),
                    "algorithm": data.get("algorithm"),
                    "expires_at": data.get("expires_at"),
                    "issued": given,
                }
            case "KeyRevoked":
                keys.pop(data.get("key_id"), None)
    if found is None:
        return None
    live = [key for key in keys.values() if not _expired(key["expires_at"], at)]
    return found | {"disabled": disabled, "roles": list(roles.values()), "keys": [] if disabled else live}


def _role(data: dict[str, Any]) -> tuple[Any, Any, Any]:
    return data.get("role"), data.get("namespace"), data.get("group") or ""


def _given(event: Event) -> dict[str, Any]:
    return {"by": event["actor"], "at": event["recorded_at"], "event": reference(event)}


def _expired(expires_at: Any, at: datetime) -> bool:
    try:
        return expires_at is not None and datetime.fromisoformat(expires_at) <= at
    except (TypeError, ValueError):
        return False
