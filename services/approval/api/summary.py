"""The first screen of a review: the request, what changed, and who may decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from regista.wire.signature import incompatibilities
from services.approval import queries
from services.approval.api.decisions import identity, people_for
from services.approval.domain.comparison import comparable, measured
from services.approval.domain.evidence import Evidence
from services.approval.domain.independence import MADE, OVERRODE, appointers, because_same, same_as
from services.approval.domain.noted import Evaluation, Signature, SignatureField
from shared.deciding.access import AccessState, permits
from shared.deciding.appointments import issued_a_key
from shared.deciding.person import Person
from shared.http.routes import Call

MOST_DECIDERS = 100
PENDING = frozenset({"open", "overridden"})
PEOPLE = ("excluded", "approvers", "overrode")
"""Columns of a listed review with subjects."""
INTERNAL = (
    "reason",
    "requested_at",
    "requested_by",
    "bump",
    "training",
    "signature",
    "champion_training",
    "version_semver",
    "machines",
    "dependent_because",
    "sign_in",
)
"""Columns of a review's row that only the summary shows."""

NOTICES = {
    "major": "MAJOR: callers must change, or will get something else",
    "minor": "MINOR: callers go on unchanged",
    "patch": "PATCH: callers go on unchanged",
}


async def with_summary(call: Call[Any, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the review with its first screen."""
    evidence = _evidence(row)
    roles, excluded, approvers = (_decoded(row[name], []) for name in ("roles", "excluded", "approvers"))
    training, champion_training = (_decoded(row[name], {}) for name in ("training", "champion_training"))
    policy, machines = _decoded(row["policy"], {}), _decoded(row["machines"], {})
    summary = {
        "requested": {
            "by": row["requested_by"] or row["requester"],
            "reason": row["reason"],
            "at": row["requested_at"],
            "environment": row["environment"],
        },
        "creator": training.get("creator") or "",
        "run_url": training.get("run_url") or "",
        "champion": _champion(evidence),
        "changes": changes(training, champion_training, evidence),
        "callers": callers(row["bump"], _decoded(row["signature"], None), evidence),
        "policy": {
            "name": policy.get("name", ""),
            "revision": policy.get("revision", 0),
            "approvers": row["needs"],
            "roles": roles,
            "machines": machines,
            "dependent_because": row["dependent_because"],
            "sign_in": _decoded(row["sign_in"], None),
        },
        "accept": [r["gate"] for r in _decoded(row["results"], []) if r.get("tick")],
        "sealed": _decoded(row["seal"], {}),
        "deciders": await _deciders(call, row, roles, excluded, approvers, machines),
    }
    shown = {name: value for name, value in row.items() if name not in INTERNAL}
    return shown | {"semver": row["version_semver"] or row["semver"], "summary": summary}


def _decoded(raw: Any, default: Any) -> Any:
    found = default if raw is None else msgspec.json.decode(raw)
    return default if found is None else found


def _evidence(row: Mapping[str, Any]) -> Evidence | None:
    """Return the evidence, or None for the review of an override that had none."""
    document = _decoded(row["evidence"], {})
    return msgspec.convert(document, Evidence) if document else None


def _champion(evidence: Evidence | None) -> dict[str, Any] | None:
    champion = evidence.champion if evidence else None
    if evidence is None or champion is None or champion.number == evidence.number:
        return None
    return {"number": champion.number, "semver": champion.semver or ""}


Compared = dict[str, Any]


def changes(
    mine: Mapping[str, Any], theirs: Mapping[str, Any], evidence: Evidence | None
) -> dict[str, list[Compared]]:
    """Return what differs from the champion, side by side. Without a champion, every value is new."""
    parts = {
        "schema": _signature_lines(evidence),
        "config": _differing(_flat(theirs.get("config")), _flat(mine.get("config"))),
        "data": _differing(_flat(theirs.get("dataset")), _flat(mine.get("dataset"))),
        "code": _differing(_flat(theirs.get("code")), _flat(mine.get("code"))),
        "features": _features(theirs.get("features") or (), mine.get("features") or ()),
        "framework": _differing(_flat(theirs.get("framework")), _flat(mine.get("framework"))),
        "metrics": _metrics(evidence),
    }
    return {name: lines for name, lines in parts.items() if lines}


def _line(name: str, champion: Any, candidate: Any, note: str = "") -> Compared:
    return {"name": name, "champion": champion, "candidate": candidate, "note": note}


def _flat(document: Any, prefix: str = "") -> dict[str, Any]:
    """Return the values of a document by their dotted path."""
    if not isinstance(document, dict):
        return {prefix.rstrip("."): document} if document is not None else {}
    found: dict[str, Any] = {}
    for name, value in document.items():
        found |= _flat(value, f"{prefix}{name}.")
    return found


def _differing(theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> list[Compared]:
    names = dict.fromkeys((*theirs, *mine))
    return [_line(n, theirs.get(n), mine.get(n)) for n in names if theirs.get(n) != mine.get(n)]


def _features(theirs: Sequence[str], mine: Sequence[str]) -> list[Compared]:
    gone, new = (sorted(set(a) - set(b)) for a, b in ((theirs, mine), (mine, theirs)))
    return [*(_line(n, "used", None) for n in gone), *(_line(n, None, "used") for n in new)]


def _signature_lines(evidence: Evidence | None) -> list[Compared]:
    if evidence is None:
        return []
    champion = evidence.champion.signature if _champion(evidence) and evidence.champion else None
    theirs, mine = (_fields(signature) for signature in (champion, evidence.signature))
    return _differing(theirs, mine)


def _fields(signature: Signature | None) -> dict[str, str]:
    """Return each input and output in words, by its part and name."""
    if signature is None:
        return {}
    parts = (("input", signature.inputs), ("output", signature.outputs))
    return {f"{part} {field.name}": _words(field) for part, fields in parts for field in fields}


def _words(field: SignatureField) -> str:
    optional = "" if field.required else " optional"
    unit = f" in {field.unit}" if field.unit else ""
    labels = f" labels {', '.join(map(str, field.labels))}" if field.labels else ""
    return f"{field.type}{optional}{unit}{labels}"


def _metrics(evidence: Evidence | None) -> list[Compared]:
    """Return each measurement beside the champion's on the same data, or marked as not comparable."""
    if evidence is None:
        return []
    champion = evidence.champion if _champion(evidence) else None
    lines = []
    for name in dict.fromkeys(e.name for e in evidence.evaluations):
        mine = measured(evidence.evaluations, name, evidence.makers)
        theirs = measured(champion.evaluations, name, evidence.makers) if champion else ()
        lines += [_metric_line(m, theirs, has_champion=champion is not None) for m in mine]
    return lines


def _metric_line(mine: Evaluation, theirs: Iterable[Evaluation], *, has_champion: bool) -> Compared:
    beside = next((t for t in theirs if comparable(mine, t)), None)
    where = mine.dataset_name or mine.dataset_digest or ""
    note = "same data" if beside else "not comparable: other data or definition" if has_champion else ""
    by = "independent" if mine.independent else "claimed"
    return _line(
        f"{mine.name} on {where} ({by})" if where else f"{mine.name} ({by})",
        beside.value if beside else None,
        mine.value,
        note,
    )


def callers(bump: str, signature: Any, evidence: Evidence | None) -> dict[str, Any]:
    """Return what callers of the champion will notice."""
    champion = evidence.champion if evidence and _champion(evidence) else None
    mine = msgspec.convert(signature, Signature, strict=False) if signature else None
    breaks: list[str] = []
    if champion and champion.signature and mine:
        breaks = [str(one) for one in incompatibilities(champion.signature, mine)]
    notice = NOTICES.get(bump, "") if champion else "no version serves, so there are no callers"
    return {"bump": bump, "breaks": breaks, "notice": notice}


async def _deciders(
    call: Call[Any, Any],
    row: Mapping[str, Any],
    roles: Sequence[str],
    excluded: Sequence[str],
    approvers: Sequence[str],
    machines: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Return who has a role that the review needs, and why some of them may not decide."""
    namespace = queries.namespace(row)
    asked = [
        state
        for state in call.app.access.identities.all()
        if any(permits(state, role, namespace) for role in roles)
        and (state.kind == "person" or state.subject in machines)
        and not state.disabled
    ][:MOST_DECIDERS]
    people = await people_for(call, (state.subject for state in asked), (*excluded, *approvers))
    return [
        {"subject": state.subject, "may_decide": not why, "why_not": why}
        for state in asked
        for why in [
            _why_not(call, state, people, excluded, approvers, dependent=bool(row["dependent_because"]))
        ]
    ]


async def for_caller(call: Call[Any, Any], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of a list with whether the caller may decide each of them, and why not."""
    me = identity(call, call.actor.subject)
    others = {one for row in rows for name in PEOPLE for one in _decoded(row[name], [])}
    people = await people_for(call, [me.subject], others)
    return [
        {name: value for name, value in row.items() if name not in (*INTERNAL, "overrode")}
        | {"may_decide": row["state"] in PENDING and not why, "why_not": why}
        for row in rows
        for why in [_why_not_me(call, me, row, people)]
    ]


def _why_not_me(
    call: Call[Any, Any], me: AccessState, row: Mapping[str, Any], people: Mapping[str, Person]
) -> str:
    """Return why the caller may not decide a pending review; "" also for one that is over."""
    excluded, approvers, overrode, roles = (_decoded(row[name], []) for name in (*PEOPLE, "roles"))
    after = row["state"] == "overridden"
    roles = ["approver"] if after else roles
    if row["state"] not in PENDING:
        return ""
    if not any(permits(me, role, queries.namespace(row)) for role in roles):
        return f"has no role {' or '.join(roles)} there"
    if me.kind != "person" and (after or me.subject not in _decoded(row["machines"], {})):
        return "only people decide"
    if after:
        return _why_not(call, me, people, [*excluded, *overrode], [], did=OVERRODE, dependent=False)
    return _why_not(call, me, people, excluded, approvers, dependent=bool(row["dependent_because"]))


def _why_not(
    call: Call[Any, Any],
    state: AccessState,
    people: Mapping[str, Person],
    excluded: Sequence[str],
    approvers: Sequence[str],
    *,
    did: str = MADE,
    dependent: bool,
) -> str:
    state_of = partial(identity, call)
    if state.subject in approvers:
        return "has approved already"
    if same := same_as(state.subject, excluded, people, state_of):
        return because_same(state.subject, same, did)
    if not dependent and (found := appointers(state.subject, state_of, people, excluded)):
        return f"{found[0][0]}, who made or requested this version, {found[0][1]}"
    if same := same_as(state.subject, approvers, people, state_of):
        return because_same(state.subject, same, "has approved already")
    for other in () if dependent else approvers:
        if issued := issued_a_key(state.subject, other, state_of):
            return f"counts as one with {other}: {issued}"
    return ""
