"""Map each stored event to changes of rows. A live commit and a rebuild apply the same changes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from services.mirror.domain import target_events as e
from services.mirror.tables import CHECKS, NAMES, SHOWN, STANDINGS, TARGETS
from shared.deciding.changes import Change, Drop, Patch, Put
from shared.deciding.events import Recorded
from shared.log.due_work import DUE

WORK, SURVEY, CHECK = "mirror", "survey", "check"
"""Kinds of due work, each with the target as its key: write what is requested, request what was registered
before, compare."""


def project(recorded: Recorded) -> Iterable[Change]:
    """Return the row changes of one event."""
    event = recorded.event
    match event:
        case e.MirrorTargetSet() | e.MirrorTargetRemoved() | e.MirrorSurveyed():
            return _target(recorded)
        case e.MirrorCheckRequested() | e.MirrorCheckAdvanced() | e.MirrorChecked():
            return _check(recorded)
        case e.MirrorRequested():
            row = _version(event) | {
                "model": event.model,
                "status": "due",
                "request": event.request,
                "attempts": 0,
                "at": recorded.recorded_at,
                "code": "",
                "detail": event.why,
            }
            return [Put(STANDINGS, row), *_due(event.target, event.next_at)]
        case e.Mirrored():
            return _mirrored(recorded)
        case e.MirrorDeferred():
            status = "due" if event.again else event.status
            return [
                _standing(recorded, {"status": status, "detail": event.reason}),
                Drop(SHOWN, _version(event)),
                *_due(event.target, event.next_at),
            ]
        case e.MirrorFailed():
            columns = {
                "status": "failed" if event.gave_up else "due",
                "attempts": event.attempt,
                "code": event.code,
                "detail": event.detail,
            }
            failure = {"failed_at": recorded.recorded_at, "failure": event.detail}
            return [
                _standing(recorded, columns),
                Patch(TARGETS, {"target": event.target}, failure),
                *_due(event.target, event.next_at),
            ]
        case e.MirrorDrifted():
            columns = {
                "status": "due" if event.repair else "drifted",
                "detail": "the target was changed",
                "differences": msgspec.to_builtins(event.differences),
            }
            return [_standing(recorded, columns), *_due(event.target, event.next_at)]
        case _:
            return []


def _version(event: Any) -> dict[str, Any]:
    return {"target": event.target, "model_id": event.model_id, "number": event.number}


def _standing(recorded: Recorded, columns: dict[str, Any]) -> Change:
    """Return the change of a standing. What it does not name is cleared."""
    cleared = {"attempts": 0, "code": "", "differences": None, "at": recorded.recorded_at}
    return Patch(STANDINGS, _version(recorded.event), cleared | columns)


def _due(target: str, next_at: datetime | None) -> list[Change]:
    key = {"kind": WORK, "key": target}
    row: Change = Drop(DUE, key) if next_at is None else Put(DUE, key | {"due_at": next_at, "data": {}})
    return [row, Patch(TARGETS, {"target": target}, {"next_at": next_at})]


def _mirrored(recorded: Recorded) -> list[Change]:
    event: e.Mirrored = recorded.event
    shown = _version(event) | {
        "semver": event.semver,
        "stage": event.stage,
        "address": event.address,
        "aliases": list(event.aliases),
        "position": event.position,
        "at": recorded.recorded_at,
    }
    name = {
        "target": event.target,
        "model_id": event.model_id,
        "name": event.name,
        "model": event.model,
    }
    columns = {"status": "due" if event.again else "mirrored", "model": event.model, "detail": ""}
    return [
        _standing(recorded, columns),
        Put(SHOWN, shown),
        Put(NAMES, name),
        Patch(TARGETS, {"target": event.target}, {"failed_at": None, "failure": None}),
        *_due(event.target, event.next_at),
    ]


def _target(recorded: Recorded) -> list[Change]:
    event = recorded.event
    key = {"target": event.target}
    survey = {"kind": SURVEY, "key": event.target}
    match event:
        case e.MirrorTargetSet():
            row = {
                "kind": event.kind,
                "namespaces": list(event.namespaces),
                "from_stage": event.from_stage,
                "first_request": event.first_request,
                "set_at": recorded.recorded_at,
                "set_by": recorded.actor.subject,
                "surveyed": False,
            }
            return [
                Put(TARGETS, key | row),
                Put(DUE, survey | {"due_at": recorded.recorded_at, "data": {}}),
            ]
        case e.MirrorSurveyed():
            return [Patch(TARGETS, key, {"surveyed": True}), Drop(DUE, survey)]
        case _:
            kinds = (WORK, SURVEY, CHECK)
            return [
                Drop(TARGETS, key),
                Drop(CHECKS, key),
                *(Drop(DUE, {"kind": kind, "key": event.target}) for kind in kinds),
            ]


def _check(recorded: Recorded) -> list[Change]:
    event = recorded.event
    row = {
        "target": event.target,
        "check_id": event.check_id,
        "repair": event.repair,
        "running": True,
        "compared": 0,
        "drifted": 0,
        "problem": "",
        "at": recorded.recorded_at,
    }
    due = {"kind": CHECK, "key": event.target}
    match event:
        case e.MirrorCheckRequested():
            data = {"check_id": event.check_id, "repair": event.repair, "model_id": "", "number": 0}
            data |= {"compared": 0, "drifted": 0}
            return [Put(CHECKS, row), Put(DUE, due | {"due_at": recorded.recorded_at, "data": data})]
        case e.MirrorCheckAdvanced():
            figures = {"compared": event.compared, "drifted": event.drifted}
            data = {
                "check_id": event.check_id,
                "repair": event.repair,
                "model_id": event.model_id,
                "number": event.number,
            } | figures
            return [
                Put(CHECKS, row | figures),
                Put(DUE, due | {"due_at": recorded.recorded_at, "data": data}),
            ]
        case _:
            ended = {
                "running": False,
                "compared": event.compared,
                "drifted": event.drifted,
                "problem": event.problem,
            }
            return [Put(CHECKS, row | ended), Drop(DUE, due)]
