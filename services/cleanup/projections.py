"""Map each stored event to changes of rows. A live commit and a rebuild apply the same changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from services.cleanup.domain.defaults import DefaultRetentionChanged, DefaultRetentionRemoved
from services.cleanup.domain.noted import (
    PUBLIC_TYPES,
    ModelNamed,
    Serving,
    VersionAdded,
    VersionChanged,
    read_noted,
    stage_after,
)
from services.cleanup.domain.retention_events import (
    RetentionChanged,
    RetentionInherited,
    RetentionRemoved,
    RetirementProposed,
    UsageRecorded,
    VersionMarked,
    VersionSpared,
)
from services.cleanup.domain.sweep import SweepAdvanced, SweepFinished, SweepPlanned, SweepScheduled
from services.cleanup.domain.waiting_reports import LONGEST_WAIT, ReportGivenUp, ReportHeld, ReportPlaced
from services.cleanup.tables import (
    CLEANUP_RUNS,
    DEFAULTS,
    EARLY,
    ENVIRONMENTS,
    MODELS,
    NAMES,
    POLICIES,
    SERVED_IN,
    USES,
    USES_BY_DAY,
    VERDICTS,
    VERSIONS,
)
from shared.deciding.changes import Change, Drop, Patch, Put
from shared.deciding.events import Noted, Recorded
from shared.deciding.noted_environments import ENVIRONMENT_CREATED
from shared.log.due_work import DUE

PROPOSE, SWEEP, CHUNK, WAITED = "propose", "sweep", "sweep-chunk", "waited"
"""Kinds of due work: propose a retirement, begin a month's run, judge a chunk, end a report's wait."""


def project(recorded: Recorded) -> Iterable[Change]:
    """Return the row changes of one event."""
    match recorded.event:
        case Noted(source=source, data=data) if source.type == ENVIRONMENT_CREATED:
            return [Put(ENVIRONMENTS, {"namespace": data["namespace"], "name": data["name"]})]
        case Noted():
            return _noted(recorded.event)
        case UsageRecorded():
            return _used(recorded.event)
        case (
            RetentionChanged()
            | RetentionRemoved()
            | RetentionInherited()
            | DefaultRetentionChanged()
            | DefaultRetentionRemoved()
        ):
            return _policies(recorded)
        case VersionMarked() | VersionSpared() | RetirementProposed():
            return _judged(recorded)
        case ReportHeld() as held:
            due = {
                "kind": WAITED,
                "key": held.report_id,
                "due_at": recorded.recorded_at + LONGEST_WAIT,
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


def _policies(recorded: Recorded) -> list[Change]:
    match recorded.event:
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
        case RetentionRemoved(model_id=model_id):
            return [Drop(POLICIES, {"model_id": model_id})]
        case DefaultRetentionChanged(namespace=namespace, policy=policy):
            row = {"policy": msgspec.to_builtins(policy), "revision": recorded.revision}
            return [Put(DEFAULTS, {"namespace": namespace} | row)]
        case DefaultRetentionRemoved(namespace=namespace):
            return [Drop(DEFAULTS, {"namespace": namespace})]
        case _:
            return []


def _noted(noted: Noted) -> list[Change]:
    name, data = PUBLIC_TYPES[noted.source.type], read_noted(noted)
    match data:
        case ModelNamed(model_id=model_id, model=model):
            return [
                Put(MODELS, {"model_id": model_id, "model": model}),
                Put(NAMES, {"name": model, "model_id": model_id}),
            ]
        case VersionAdded():
            stage = "Staging" if data.semver else "Draft"
            row = {
                "model_id": data.model_id,
                "number": data.number,
                "semver": data.semver or "",
                "stage": stage,
                "retired": False,
                "registered_at": data.recordedtime,
            }
            return [Put(VERSIONS, row)]
        case Serving():
            changes: list[Change] = [
                Put(SERVED_IN, {"model_id": data.model_id, "environment": data.environment})
            ]
            if name == "RolledBack" and data.production:
                version = {"model_id": data.model_id, "number": data.to_number}
                changes.append(Patch(VERSIONS, version, {"stage": "Production"}))
            return changes
        case VersionChanged():
            return _version_changed(name, data)
        case _:
            return []


def _version_changed(name: str, data: VersionChanged) -> list[Change]:
    changes: list[Change] = []
    if stage := stage_after(name, data):
        columns: dict[str, Any] = {"stage": stage} | ({"retired": True} if name == "VersionRetired" else {})
        changes.append(Patch(VERSIONS, {"model_id": data.model_id, "number": data.number}, columns))
    if name in {"VersionRetired", "RetireRefused"}:
        verdict = "retired" if name == "VersionRetired" else "refused"
        reasons = [{"code": "refused_by_registry", "detail": reason} for reason in data.reasons]
        changes.append(
            Patch(
                VERDICTS,
                {"cleanup_run_id": data.sweep_id, "model_id": data.model_id, "number": data.number},
                {"verdict": verdict, "reasons": reasons},
            )
        )
        changes.append(Drop(DUE, {"kind": PROPOSE, "key": _version_key(data.model_id, data.number)}))
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
    """Return what a row of due work names as its cause: the event that made it due."""
    return {"because": str(recorded.event_id), "correlation": recorded.correlation_id}


def _judged(recorded: Recorded) -> list[Change]:
    event = recorded.event
    row = {
        "cleanup_run_id": event.sweep_id,
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
                "cleanup_run_id": event.sweep_id,
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
    key = {"cleanup_run_id": event.sweep_id}
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
                Put(CLEANUP_RUNS, row | {"models": 0, "versions": 0}),
                Drop(DUE, {"kind": SWEEP, "key": event.sweep_id}),
                Put(DUE, chunk | {"due_at": now, "data": start}),
            ]
        case SweepAdvanced():
            position = {
                "scope": event.scope,
                "chunk": event.chunk,
                "model_id": event.model_id,
                "number": event.number,
            } | _because(recorded)
            figures = {"models": event.models, "versions": event.versions}
            return [Patch(CLEANUP_RUNS, key, figures), Put(DUE, chunk | {"due_at": now, "data": position})]
        case SweepFinished():
            ended = {
                "models": event.models,
                "versions": event.versions,
                "phase": "finished",
                "finished_at": now,
            }
            return [Patch(CLEANUP_RUNS, key, ended), Drop(DUE, chunk)]
        case _:
            return []
