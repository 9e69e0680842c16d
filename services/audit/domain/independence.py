"""Check from stored events alone that people who decided were independent (I9). Pure.

It shares no code with approval, which decides by the same rules: each would show a fault of the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from shared.deciding.person import folded_name

Event = dict[str, Any]
Identities = Mapping[str, Sequence[Event]]
"""The events of each identity's stream, by subject."""

APPOINTMENTS = {
    "IdentityCreated": "created",
    "KeyIssued": "keyed",
    "RoleGranted": "granted",
    "TrustAdded": "keyed",
}

DIRECT, THROUGH_OTHERS = 1, 2
"""The rules that grants state (`rules`; 1 in grants without it): appointments count when they are direct, or
also when they were made through others. Each grant is judged by the rules of its time."""


def independence_faults(
    grant: Event,
    promotion: Sequence[Event],
    policy: Event | None,
    identities: Identities,
    stage: str = "Production",
) -> list[str]:
    """Return who counted and should not have, for one grant of a promotion to `stage` (or `NonProduction`).

    `promotion`: the events of the promotion and of its review, in the log's order. `policy`: the
    PolicyPublished that the grant names.
    """
    named = [str(who) for who in grant["data"].get("approvers") or ()]
    document = policy["data"].get("policy") or {} if policy else {}
    makers = set(_makers(promotion))
    if grant["data"].get("override"):
        made = set(_makers(e for e in promotion if e["type"] == "GatesEvaluated"))
        return [*_machines(named, {}, identities, grant), *_maker_overrides(named, made, document)]
    manual = _manual(document, stage)
    approvals = {str(e["data"].get("approver")): e for e in promotion if e["type"] == "ReviewApproved"}
    found = [*_machines(named, manual.get("machines") or {}, identities, grant)]
    found += _not_accepted(promotion, [approvals[who] for who in named if who in approvals])
    found += _same_people(named, approvals)
    found += [
        f"approved by {who} under the name of a person who made or requested it"
        for who in named
        if who in approvals and folded_name(str(approvals[who]["data"].get("approver_name") or "")) in makers
    ]
    if manual.get("dependent_because"):
        return found
    rules = grant["data"].get("rules") or DIRECT
    if rules not in {DIRECT, THROUGH_OTHERS}:
        found.append(f"it was decided by rules {rules}, which this version cannot check: use a newer one")
    return [*found, *_appointed(named, approvals, grant, makers, identities, through=rules != DIRECT)]


def _appointed(
    named: Sequence[str],
    approvals: Mapping[str, Event],
    grant: Event,
    makers: set[str],
    identities: Identities,
    *,
    through: bool,
) -> Iterator[str]:
    """Yield the approvers whom a maker or the requester appointed, and those who count as one."""
    for who in named:
        at = approvals.get(who, grant)["recorded_at"]
        for by, how in _chain(who, identities, at, set(APPOINTMENTS.values()), through=through):
            if folded_name(by) in makers:
                yield f"{by}, who made or requested it, {how} the approver {who}"
        for by, how in _chain(who, identities, at, {"keyed"}, through=through):
            if by in named and folded_name(by) not in makers:
                yield f"the approvers {by} and {who} count as one: {by} {how} {who}"


def _makers(promotion: Iterable[Event]) -> Iterator[str]:
    """Yield who made or requested the version, in the form in which names are compared."""
    for event in promotion:
        data = event["data"]
        if event["type"] == "PromotionRequested":
            named = [data.get("requester"), data.get("creator"), data.get("on_behalf_of")]
        elif event["type"] == "GatesEvaluated":
            named = (data.get("evidence") or {}).get("makers") or []
        else:
            continue
        yield from (folded_name(str(who)) for who in named if who)


def _manual(document: Mapping[str, Any], stage: str) -> Mapping[str, Any]:
    gates = (document.get("stages") or {}).get(stage) or ()
    return next((gate.get("params") or {} for gate in gates if gate.get("kind") == "manual"), {})


def _machines(
    named: Iterable[str], allowed: Mapping[str, Any], identities: Identities, grant: Event
) -> Iterator[str]:
    for who in named:
        events = [e for e in identities.get(who, ()) if e["recorded_at"] <= grant["recorded_at"]]
        kind = next((e["data"].get("kind") for e in events if e["type"] == "IdentityCreated"), None)
        if kind is None:
            yield f"there is no identity {who}"
        elif kind != "person" and who not in allowed:
            yield f"decided by {who}, a {kind}, and the policy names no reason for this machine"


def _maker_overrides(named: Iterable[str], makers: set[str], document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the overrides by makers that the policy does not allow.

    Who requested the promotion may override. So only those count whom the evidence names as makers.
    """
    if (document.get("break_glass") or {}).get("by_maker"):
        return
    yield from (f"overridden by {who}, who made it" for who in named if folded_name(who) in makers)


def _not_accepted(promotion: Sequence[Event], approvals: Sequence[Event]) -> Iterator[str]:
    """Yield the approvals that do not accept what the last gate evaluation left to people."""
    evaluated = [e["data"].get("results") or () for e in promotion if e["type"] == "GatesEvaluated"]
    ticks = {str(r.get("gate")) for r in (evaluated[-1] if evaluated else ()) if r.get("tick")}
    for event in approvals:
        if missing := sorted(ticks - set(event["data"].get("accepted") or ())):
            yield f"{event['data'].get('approver')} did not accept {', '.join(missing)}"


def _same_people(named: Sequence[str], approvals: Mapping[str, Event]) -> Iterator[str]:
    """Yield the approvers who signed with the same name."""
    seen: dict[str, str] = {}
    for who in named:
        printed = str(approvals[who]["data"].get("approver_name") or "") if who in approvals else ""
        for name in {folded_name(printed or who), folded_name(who)}:
            other = seen.setdefault(name, who)
            if other != who:
                yield f"{other} and {who} approved under one name"


def appointers(events: Iterable[Event], until: str | None = None) -> list[tuple[str, str]]:
    """Return who created an identity, issued it a key or granted it a role until a moment, and which.

    Who trusted the issuer of a sign-in, or mapped the groups that it showed, granted their roles.
    """
    found: list[tuple[str, str]] = []
    for e in events:
        if until is not None and e["recorded_at"] > until:
            continue
        if e["type"] in APPOINTMENTS:
            found.append((str(e["actor"]["subject"]), APPOINTMENTS[e["type"]]))
        elif e["type"] == "SignedIn":
            found += [(str(by), "granted") for by in e["data"].get("appointed_by") or ()]
    return list(dict.fromkeys(found))


def _chain(
    subject: str, identities: Identities, until: str, acts: set[str], *, through: bool
) -> list[tuple[str, str]]:
    """Return who appointed the identity by these acts, in words; with `through` also at any distance.

    The words end before the subject: "keyed", "keyed bot, who created".
    """
    found: list[tuple[str, str]] = []
    reached, level = {subject}, [(subject, "")]
    while level:
        above: dict[str, str] = {}
        for of, words in level:
            for by, act in appointers(identities.get(of, ()), until):
                if act in acts and by not in reached:
                    found.append((by, f"{act} {of}, who {words}" if words else act))
                    above.setdefault(by, found[-1][1])
        reached |= above.keys()
        level = list(above.items()) if through else []
    return found
