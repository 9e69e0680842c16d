"""What publishing a policy would change: models, open reviews, and where it requires less."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from regista.wire.policies import STAGES, Subject, approvers, select
from services.approval import queries
from services.approval.domain.evidence import Evidence
from services.approval.domain.gate_kinds import check
from services.approval.domain.policy import PRODUCTION, Policy, automated, manual
from services.approval.domain.policy_publication import Policies, weaker_for
from services.approval.domain.promotion import quorum_of
from services.approval.domain.review import Quorum
from services.approval.domain.sign_in import SignInAsked
from shared.http.routes import Call

SHOWN = 50
"""The number of models, and of reviews, that a preview lists."""


async def preview(call: Call[Any, Any], name: str, document: Policy, *, second_admin: bool) -> dict[str, Any]:
    """Return what would change, by the read models of this moment."""
    before: dict[str, Policy] = {
        row["name"]: msgspec.json.decode(row["policy"], type=Policy)
        for row in await queries.published_policies(call.app.pool)
    }
    after = before | {name: document}
    rows = await queries.subjects(call.app.pool)
    subjects = [_subject(row) for row in rows]
    models = [line for row, s in zip(rows, subjects, strict=True) for line in _models(row, s, before, after)]
    reviews = [
        line
        for row in await queries.open_reviews(call.app.pool)
        for line in _review(row, _subject(row), before, after)
    ]
    weaker = weaker_for(name, before, document, subjects)
    counted = sum(line.pop("count") for line in models)
    return {
        "weaker": weaker,
        "second_admin": bool(weaker) and second_admin,
        "models": models[:SHOWN],
        "models_changed": counted,
        "reviews": reviews[:SHOWN],
        "reviews_changed": len(reviews),
    }


def _subject(row: Mapping[str, Any]) -> Subject:
    tags = msgspec.json.decode(row["tags"], type=dict[str, str])
    return Subject(row["namespace"], row["kind"], row["tier"], tags)


def _models(
    row: Mapping[str, Any], subject: Subject, before: Policies, after: Policies
) -> list[dict[str, Any]]:
    """Return a line for each of the first models of this description and each stage that changes."""
    lines = []
    for stage in STAGES:
        was, now = (select(sorted(policies.items()), subject, stage) for policies in (before, after))
        if was == now:
            continue
        change = {
            "stage": stage,
            "policy_before": was[0] if was else "",
            "policy_after": now[0] if now else "",
            "approvers_before": approvers(was[1].stages[stage]) if was else None,
            "approvers_after": approvers(now[1].stages[stage]) if now else None,
        }
        first, *others = row["first_models"]
        lines += [{"model": first, **change, "count": row["models"]}]
        lines += [{"model": model, **change, "count": 0} for model in others]
    return lines


def _review(
    row: Mapping[str, Any], subject: Subject, before: Policies, after: Policies
) -> list[dict[str, Any]]:
    """Return what happens to an open review, or nothing when the same gates apply to it."""
    was, now = (select(sorted(policies.items()), subject, PRODUCTION) for policies in (before, after))
    if was == now:
        return []
    gates = now[1].stages[PRODUCTION] if now else ()
    people = manual(gates)
    evidence = msgspec.json.decode(row["evidence"], type=Evidence)
    passes = all(check(gate, evidence).passed for gate in automated(gates))
    goes_on = people is not None and quorum_of(people) == _quorum(row) and passes
    return [
        {
            "review_id": row["review_id"],
            "model": row["model"],
            "number": row["number"],
            "needs_before": row["needs"],
            "needs_after": people.approvers if people else None,
            "then": "goes on" if goes_on else "lapses",
        }
    ]


def _quorum(row: Mapping[str, Any]) -> Quorum:
    roles, machines = (msgspec.json.decode(row[name]) for name in ("roles", "machines"))
    dependent, asked = bool(row["dependent_because"]), row["sign_in"]
    sign_in = msgspec.json.decode(asked, type=SignInAsked | None) if asked is not None else None
    return Quorum(row["needs"], tuple(sorted(roles)), tuple(sorted(machines)), dependent, sign_in)
