"""Event → row changes. A live commit and a rebuild apply the same ones."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from services.cleanup.domain.early import PATIENCE, ReportGivenUp, ReportHeld, ReportPlaced
from services.cleanup.domain.noted import (
    PUBLIC_TYPES,
    STAGES,
    ModelNamed,
    Serving,
    VersionBorn,
    VersionFact,
    read,
)
from services.cleanup.domain.retention_state import (
    RetentionChanged,
    RetirementProposed,
    UsageRecorded,
    VersionMarked,
    VersionSpared,
)
from services.cleanup.domain.sweep import SweepAdvanced, SweepFinished, SweepPlanned, SweepScheduled
from services.cleanup.tables import (
    EARLY,
    MODELS,
    NAMES,
    POLICIES,
    SWEEPS,
    USES,
    USES_BY_DAY,
    VERDICTS,
    VERSIONS,
)
from shared.deciding.changes import Change, Drop, Patch, Put
from shared.deciding.events import Noted, Recorded
from shared.log.due_work import DUE

PROPOSE, SWEEP, CHUNK, WAITED = "propose", "sweep", "sweep-chunk", "waited"
"""Kinds of due work: a grace period that ends, a period that begins, the next part of a sweep, a report that waited long enough."""


def project(recorded: Recorded) -> Iterable[Change]:
    """The row changes of one event."""
    match recorded.event:
        case Noted():
            return _noted(recorded.event)
        case UsageRecorded():
            return _used(recorded.event)
        case RetentionChanged(model_id=model_id, policy=policy):
            return [
                Put(
                    POLICIES,
                    {
                        "model_id": model_id,
                        "policy": msgspec.to_builtins(policy),
                        "revision": recorded.revision,
                    },
                )
            ]
        case VersionMarked() | VersionSpared() | RetirementProposed():
            return _judged(recorded)
        case ReportHeld() as held:
            due = {
                "kind": WAITED,
                "key": held.report_id,
                "due_at": recorded.recorded_at + PATIENCE,
                "data": {},
            }
            return [
                Put(
                    EARLY,
                    {
                        "report_id": held.report_id,
                        "name": held.model,
                        "message": msgspec.to_builtins(held.message),
                    },
                ),
                Put(DUE, due),
            ]
        case ReportPlaced(report_id=report_id) | ReportGivenUp(report_id=report_id):
            return [Drop(EARLY, {"report_id": report_id}), Drop(DUE, {"kind": WAITED, "key": report_id})]
        case _:
            return _swept(recorded)


def _noted(noted: Noted) -> list[Change]:
    name, fact = PUBLIC_TYPES[noted.source.type], read(noted.source.type, noted.data)
    match fact:
        case ModelNamed(model_id=model_id, model=model):
            return [
                Put(MODELS, {"model_id": model_id, "model": model}),
                Put(NAMES, {"name": model, "model_id": model_id}),
            ]
        case VersionBorn():
            stage = "Staging" if fact.semver else "Draft"
            row = {
                "model_id": fact.model_id,
                "number": fact.number,
                "semver": fact.semver or "",
                "stage": stage,
                "registered_at": fact.recordedtime,
            }
            return [Put(VERSIONS, row)]
        case Serving() if name == "RolledBack":
            return [
                Patch(
                    VERSIONS, {"model_id": fact.model_id, "number": fact.to_number}, {"stage": "Production"}
                )
            ]
        case VersionFact():
            return _version_noted(name, fact)
        case _:
            return []


def _version_noted(name: str, fact: VersionFact) -> list[Change]:
    changes: list[Change] = []
    if name in STAGES:
        changes.append(
            Patch(VERSIONS, {"model_id": fact.model_id, "number": fact.number}, {"stage": STAGES[name]})
        )
    if name in {"VersionRetired", "RetireRefused"}:
        verdict = "retired" if name == "VersionRetired" else "refused"
        reasons = [{"code": "refused_by_registry", "detail": reason} for reason in fact.reasons]
        columns = {"verdict": verdict, "reasons": reasons}
        changes.append(
            Patch(
                VERDICTS,
                {"sweep_id": fact.sweep_id, "model_id": fact.model_id, "number": fact.number},
                columns,
            )
        )
        changes.append(Drop(DUE, {"kind": PROPOSE, "key": _version_key(fact.model_id, fact.number)}))
    return changes


def _used(event: UsageRecorded) -> list[Change]:
    version = {"model_id": event.model_id, "number": event.number}
    return [
        Put(USES, version | {"total": event.total, "last_used_at": event.last_used_at}),
        Put(USES_BY_DAY, version | {"day": event.day, "total": event.day_total}),
    ]


def _version_key(model_id: str, number: int) -> str:
    return f"{model_id}@{number}"


def _because(recorded: Recorded) -> dict[str, str]:
    """What due work names as its cause: the event that made it due."""
    return {"because": str(recorded.event_id), "correlation": recorded.correlation_id}


def _judged(recorded: Recorded) -> list[Change]:
    event = recorded.event
    row = {
        "sweep_id": event.sweep_id,
        "model_id": event.model_id,
        "number": event.number,
        "model": event.model,
        "semver": event.semver,
        "at": recorded.recorded_at,
        "rule": "",
        "reasons": [],
        "delete_after": None,
    }
    due = {"kind": PROPOSE, "key": _version_key(event.model_id, event.number)}
    match event:
        case VersionMarked():
            data = {
                "model_id": event.model_id,
                "number": event.number,
                "sweep_id": event.sweep_id,
            } | _because(recorded)
            why = [{"code": event.rule, "detail": event.reason}]
            row |= {
                "verdict": "marked",
                "rule": event.rule,
                "reasons": why,
                "delete_after": event.delete_after,
            }
            return [Put(VERDICTS, row), Put(DUE, due | {"due_at": event.delete_after, "data": data})]
        case RetirementProposed():
            row |= {
                "verdict": "proposed",
                "rule": event.rule,
                "reasons": [{"code": event.rule, "detail": event.reason}],
            }
            return [Put(VERDICTS, row), Drop(DUE, due)]
        case _:
            spared = Put(VERDICTS, row | {"verdict": "spared", "reasons": msgspec.to_builtins(event.reasons)})
            return [spared, Drop(DUE, due)] if event.unmarked else [spared]


def _swept(recorded: Recorded) -> list[Change]:
    event, now = recorded.event, recorded.recorded_at
    key = {"sweep_id": event.sweep_id}
    chunk = {"kind": CHUNK, "key": event.sweep_id}
    match event:
        case SweepScheduled():
            return [Put(DUE, {"kind": SWEEP, "key": event.sweep_id, "due_at": event.due_at, "data": {}})]
        case SweepPlanned():
            row = key | {
                "phase": "planned",
                "trigger": event.trigger,
                "model_id": event.model_id,
                "actor": recorded.actor.subject,
                "at": now,
            }
            start = {"scope": event.model_id, "chunk": 0, "model_id": event.model_id, "number": 0} | _because(
                recorded
            )
            return [
                Put(SWEEPS, row | {"models": 0, "versions": 0}),
                Drop(DUE, {"kind": SWEEP, "key": event.sweep_id}),
                Put(DUE, chunk | {"due_at": now, "data": start}),
            ]
        case SweepAdvanced():
            place = {
                "scope": event.scope,
                "chunk": event.chunk,
                "model_id": event.model_id,
                "number": event.number,
            } | _because(recorded)
            figures = {"models": event.models, "versions": event.versions}
            return [Patch(SWEEPS, key, figures), Put(DUE, chunk | {"due_at": now, "data": place})]
        case SweepFinished():
            ended = {
                "models": event.models,
                "versions": event.versions,
                "phase": "finished",
                "finished_at": now,
            }
            return [Patch(SWEEPS, key, ended), Drop(DUE, chunk)]
        case _:
            return []
