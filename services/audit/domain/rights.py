"""Compute who held which role, and which keys, at a moment, from the events of identities. Pure.

An event is a dict as the API shows it: `type`, `data`, `recorded_at`, `actor`, `event_id`, `leaf_index`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import takewhile
from typing import Any

from services.audit.domain.as_of import Event, reference
from services.audit.domain.links import links_of

PARTITION = "access"
Mapped = list[dict[str, Any]]
"""The roles of an issuer's groups: `group`, `role`, `namespace`, `by`, and the event that `granted` it."""


def rights(
    events: Iterable[Event], at: datetime, mapped: Mapping[str, Mapped] | None = None
) -> dict[str, Any] | None:
    """Return an identity as it was at `at`: its kind, roles, live keys and trusts; None before its creation.

    `disabled` names the event that disabled it; its roles have no effect then, and none of its keys is live.
    `mapped` has the roles of groups at each trusted issuer then, by the issuer's key: those of the groups
    that the person's last sign-in showed are among its roles.

    `events` are those of its stream, in their order. Each role, key and link names the event that gave it.
    """
    found: dict[str, Any] | None = None
    disabled: dict[str, Any] | None = None
    roles: dict[tuple[Any, Any, Any], dict[str, Any]] = {}
    sign_ins: dict[Any, dict[str, Any]] = {}
    happened = list(takewhile(lambda event: event["recorded_at"] <= at, events))
    for event in happened:
        data, made = event["data"], given(event)
        match event["type"]:
            case "IdentityCreated":
                found = {"subject": data.get("subject"), "kind": data.get("kind"), "created": made}
            case "IdentityDisabled":
                disabled = disabled or made
            case "IdentityEnabled":
                disabled = None
            case "RoleGranted":
                role = {n: data.get(n) for n in ("role", "namespace")} | {"group": data.get("group") or ""}
                roles.setdefault(_role(data), role | {"granted": made})
            case "RoleRevoked":
                roles.pop(_role(data), None)
            case "SignedIn":
                sign_ins[data.get("issuer")] = data
    if found is None:
        return None
    held = [*roles.values(), *_through_groups(sign_ins, mapped or {})]
    keys = [] if disabled else _live_keys(happened, at)
    links = [
        {"other": other, "login": login, "linked": given(event)}
        for (other, login), event in links_of(happened).items()
    ]
    more = {"keys": keys, "trusts": _trusts(happened), "links": links}
    return found | {"disabled": disabled, "roles": held, **more}


def _live_keys(happened: Iterable[Event], at: datetime) -> list[dict[str, Any]]:
    """Return the keys that were live: neither revoked nor expired, nor ended with the trust of their job."""
    keys: dict[Any, dict[str, Any]] = {}
    of_trust: dict[Any, Any] = {}
    for event in happened:
        data = event["data"]
        match event["type"]:
            case "KeyIssued":
                shown = {name: data.get(name) for name in ("key_id", "algorithm", "expires_at")}
                issuer = data.get("issuer") or ""
                keys[data.get("key_id")] = shown | {"issuer": issuer, "issued": given(event)}
                of_trust[data.get("key_id")] = (data.get("job") or {}).get("trust_id")
            case "KeyRevoked":
                keys.pop(data.get("key_id"), None)
            case "TrustRemoved":
                keys = {name: key for name, key in keys.items() if of_trust[name] != data.get("trust_id")}
    return [key for key in keys.values() if not _expired(key["expires_at"], at)]


def _trusts(happened: Iterable[Event]) -> list[dict[str, Any]]:
    """Return whose jobs acted as the publisher."""
    trusts: dict[Any, dict[str, Any]] = {}
    for event in happened:
        data = event["data"]
        match event["type"]:
            case "TrustAdded":
                asked = {name: data.get(name) for name in ("trust_id", "issuer", "audience")}
                lists = {name: list(data.get(name) or ()) for name in ("claims", "namespaces")}
                trusts[data.get("trust_id")] = asked | lists | {"added": given(event)}
            case "TrustRemoved":
                trusts.pop(data.get("trust_id"), None)
    return list(trusts.values())


def mapped_roles(events: Iterable[Event], at: datetime) -> Mapped:
    """Return the roles of an issuer's groups as they were at `at`; none while it was not trusted.

    `events` are those of the issuer's stream, in their order.
    """
    trusted = False
    mapped: dict[tuple[Any, Any, Any], dict[str, Any]] = {}
    for event in events:
        if event["recorded_at"] > at:
            break
        data = event["data"]
        match event["type"]:
            case "IssuerTrusted":
                trusted = True
            case "IssuerDistrusted":
                trusted = False
            case "GroupMapped":
                role = {name: data.get(name) for name in ("role", "namespace", "group", "by")}
                mapped.setdefault(_role(data), role | {"granted": given(event)})
            case "GroupUnmapped":
                mapped.pop(_role(data), None)
    return list(mapped.values()) if trusted else []


def _through_groups(
    sign_ins: Mapping[Any, dict[str, Any]], mapped: Mapping[str, Mapped]
) -> Iterator[dict[str, Any]]:
    """Yield the roles of the groups of sign-ins, as shared/deciding/issuers.py gives them."""
    for issuer, seen in sign_ins.items():
        groups, appointed_by = seen.get("groups") or (), seen.get("appointed_by") or ()
        for one in mapped.get(issuer, ()):
            if one["group"] in groups and one["by"] in appointed_by and one["by"] != seen.get("subject"):
                yield {name: one[name] for name in ("role", "namespace", "group", "granted")}


def _role(data: dict[str, Any]) -> tuple[Any, Any, Any]:
    return data.get("role"), data.get("namespace"), data.get("group") or ""


def given(event: Event) -> dict[str, Any]:
    """Return who decided something, and when, and the event of it."""
    return {"by": event["actor"], "at": event["recorded_at"], "event": reference(event)}


def _expired(expires_at: Any, at: datetime) -> bool:
    try:
        return expires_at is not None and datetime.fromisoformat(expires_at) <= at
    except (TypeError, ValueError):
        return False
