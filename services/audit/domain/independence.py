"""Check from stored events alone that people who decided were independent (I9). Pure.

It shares no code with approval, which decides by the same rules: each would show a fault of the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from services.audit.domain.links import Event, Identities, ever_linked, linked, position
from shared.deciding.person import folded_name

APPOINTMENTS = {
    "IdentityCreated": "created",
    "KeyIssued": "keyed",
    "RoleGranted": "granted",
    "TrustAdded": "keyed",
}

DIRECT, THROUGH_OTHERS, LINKED, BY_LOGINS = 1, 2, 3, 4
"""The rules that grants state (`rules`; 1 in grants without it): appointments count when they are direct, or
also when they were made through others; linked identities count as one person; so do identities that share a
login, as of the grant, too. Each grant is judged by the rules of its time."""


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
    makers, rules = set(_makers(promotion)), grant["data"].get("rules") or DIRECT
    if grant["data"].get("override"):
        made = set(_makers(e for e in promotion if e["type"] == "GatesEvaluated"))
        used = {str(e["data"].get("by")): e for e in promotion if e["type"] == "OverrideUsed"}
        people = {who: _person(who, identities, position(used.get(who, grant)), rules) for who in named}
        return [*_machines(named, {}, identities, grant), *_maker_overrides(people, made, document)]
    manual = _manual(document, stage)
    approvals = {str(e["data"].get("approver")): e for e in promotion if e["type"] == "ReviewApproved"}
    found = [*_machines(named, manual.get("machines") or {}, identities, grant)]
    found += _not_accepted(promotion, [approvals[who] for who in named if who in approvals])
    found += _same_people(named, approvals)
    found += _linked(named, approvals, grant, makers, identities)
    found += [
        f"approved by {who} under the name of a person who made or requested it"
        for who in named
        if who in approvals and folded_name(str(approvals[who]["data"].get("approver_name") or "")) in makers
    ]
    if manual.get("dependent_because"):
        return found
    if rules not in {DIRECT, THROUGH_OTHERS, LINKED, BY_LOGINS}:
        found.append(f"it was decided by rules {rules}, which this version cannot check: use a newer one")
    return [*found, *_appointed(named, approvals, grant, makers, identities)]


def _person(who: str, identities: Identities, until: int, rules: Any) -> list[str]:
    """Return all that the log has of the person at a position: this identity first, then what is linked."""
    if rules in {DIRECT, THROUGH_OTHERS}:
        return [who]
    return [who, *linked(who, identities, until, by_logins=rules != LINKED)]


def _linked(
    named: Sequence[str],
    approvals: Mapping[str, Event],
    grant: Event,
    makers: set[str],
    identities: Identities,
) -> Iterator[str]:
    """Yield the approvers who are linked with a maker, the requester or another approver.

    By the rules BY_LOGINS, also with links that were recorded between the approval and the grant.
    """
    rules = grant["data"].get("rules") or DIRECT
    for n, who in enumerate(named):
        moments = {position(approvals.get(who, grant))}
        moments |= set() if rules == LINKED else {position(grant)}
        known = [one for at in sorted(moments) for one in _person(who, identities, at, rules)[1:]]
        for other in dict.fromkeys(known):
            if folded_name(other) in makers:
                yield f"{who} approved, who is linked with {other}, who made or requested it"
            if other in named[:n]:
                yield f"the approvers {other} and {who} are linked, so both are one person"


def _appointed(
    named: Sequence[str],
    approvals: Mapping[str, Event],
    grant: Event,
    makers: set[str],
    identities: Identities,
) -> Iterator[str]:
    """Yield the approvers whom a maker or the requester appointed, and those who count as one.

    An appointment counts until the approval, a key between two approvers until the later approval of both.
    """
    rules = grant["data"].get("rules") or DIRECT
    decided = {who: position(approvals.get(who, grant)) for who in named}
    for who, at in decided.items():
        for by, how in _chain(who, identities, at, set(APPOINTMENTS.values()), rules):
            if any(folded_name(one) in makers for one in _person(by, identities, at, rules)):
                yield f"{by}, who made or requested it, {how} the approver {who}"
        for other in (one for one in decided if one != who and folded_name(one) not in makers):
            later = max(at, decided[other])
            for by, how in _chain(who, identities, later, {"keyed"}, rules):
                if other in _person(by, identities, later, rules):
                    yield f"the approvers {other} and {who} count as one: {by} {how} {who}"


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
        events = [e for e in identities.get(who, ()) if position(e) <= position(grant)]
        kind = next((e["data"].get("kind") for e in events if e["type"] == "IdentityCreated"), None)
        if kind is None:
            yield f"there is no identity {who}"
        elif kind != "person" and who not in allowed:
            yield f"decided by {who}, a {kind}, and the policy names no reason for this machine"


def _maker_overrides(
    people: Mapping[str, Sequence[str]], makers: set[str], document: Mapping[str, Any]
) -> Iterator[str]:
    """Yield the overrides by makers that the policy does not allow.

    `people`: who overrode, each with all that the log has of them.
    Who requested the promotion may override. So only those count whom the evidence names as makers.
    """
    if (document.get("break_glass") or {}).get("by_maker"):
        return
    for who, known in people.items():
        if any(folded_name(one) in makers for one in known):
            yield f"overridden by {who}, who made it"


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


def appointers(events: Iterable[Event], until: int | None = None) -> list[tuple[str, str]]:
    """Return who created an identity, issued it a key or granted it a role until a position, and which.

    Who trusted the issuer of a sign-in, or mapped the groups that it showed, granted their roles.
    """
    found: list[tuple[str, str]] = []
    for e in events:
        if until is not None and position(e) > until:
            continue
        if e["type"] in APPOINTMENTS:
            found.append((str(e["actor"]["subject"]), APPOINTMENTS[e["type"]]))
        elif e["type"] == "SignedIn":
            found += [(str(by), "granted") for by in e["data"].get("appointed_by") or ()]
    return list(dict.fromkeys(found))


def related(events: Iterable[Event]) -> set[str]:
    """Return the subjects that this one leads to: who appointed it, and what was ever linked with it."""
    known = list(events)
    return {by for by, _ in appointers(known)} | ever_linked(known)


def _chain(
    subject: str, identities: Identities, until: int, acts: set[str], rules: Any
) -> list[tuple[str, str]]:
    """Return who appointed the person by these acts, in words; by the later rules also at any distance.

    The words end before the subject: "keyed", "keyed bot, who created".
    """
    found: list[tuple[str, str]] = []
    reached, level = set(_person(subject, identities, until, rules)), [(subject, "")]
    while level:
        above: dict[str, str] = {}
        for of, words in level:
            for one in _person(of, identities, until, rules):
                for by, act in appointers(identities.get(one, ()), until):
                    if act in acts and by not in reached:
                        found.append((by, f"{act} {one}, who {words}" if words else act))
                        above.setdefault(by, found[-1][1])
        reached |= above.keys()
        level = list(above.items()) if rules != DIRECT else []
    return found
