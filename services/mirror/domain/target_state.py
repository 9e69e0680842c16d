"""What the log has of one target, and how its events fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Literal, assert_never

from immutables import Map

from services.mirror.domain import target_events as e
from services.mirror.domain.target_events import TargetEvent

Status = Literal["due", "mirrored", "drifted", "waiting", "absent", "failed"]
RANK: Mapping[str, int] = MappingProxyType({"Staging": 1, "Validated": 2, "Production": 3})
"""The stages from which on versions are mirrored. Drafts never are; the other stages end a version."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One version at the target. `request` is its newest request, `attempts` the failed ones since then."""

    model_id: str
    model: str
    number: int
    request: int
    status: Status
    attempts: int = 0
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """`due` counts copies that wait for an attempt, `failures` those that failed since one succeeded.

    `rests_until`: no attempt before. `aliases` maps `<model id>/<alias>` to the version that shows it there.
    `check_id`: the check that runs, or "".
    """

    kind: str = ""
    namespaces: tuple[str, ...] = ()
    from_stage: str = ""
    copies: Map[str, Copy] = field(default=Map())
    aliases: Map[str, int] = field(default=Map())
    requests: int = 0
    first_request: int = 1
    due: int = 0
    failures: int = 0
    rests_until: datetime | None = None
    check_id: str = ""
    check_repairs: bool = False


INITIAL = Target()


def key_of(model_id: str, number: int) -> str:
    """Return the key of a version in `copies`."""
    return f"{model_id}@{number}"


def evolve(state: Target, event: TargetEvent) -> Target:
    """Fold one event of a target."""
    match event:
        case e.MirrorTargetSet():
            return replace(
                state,
                kind=event.kind,
                namespaces=event.namespaces,
                from_stage=event.from_stage,
                first_request=event.first_request,
            )
        case e.MirrorTargetRemoved():
            return replace(INITIAL, requests=state.requests)
        case e.MirrorSurveyed():
            return state
        case e.MirrorRequested():
            return _requested(state, event)
        case e.Mirrored():
            return _mirrored(state, event)
        case e.MirrorDeferred():
            after = _ended(state, event, "due" if event.again else event.status)
            return replace(after, failures=0, rests_until=None)
        case e.MirrorFailed():
            after = _ended(state, event, "failed" if event.gave_up else "due", event.attempt)
            failures = state.failures + (event.code != "refused")
            return replace(after, failures=failures, rests_until=event.next_at)
        case e.MirrorDrifted():
            return _ended(state, event, "due" if event.repair else "drifted")
        case e.MirrorCheckRequested():
            return replace(state, check_id=event.check_id, check_repairs=event.repair)
        case e.MirrorCheckAdvanced():
            return state
        case e.MirrorChecked():
            return replace(state, check_id="")
        case _:
            assert_never(event)


def _requested(state: Target, event: e.MirrorRequested) -> Target:
    key = key_of(event.model_id, event.number)
    known = state.copies.get(key)
    copy = Copy(event.model_id, event.model, event.number, event.request, "due")
    if known is not None:
        copy = replace(
            known, model=event.model or known.model, request=event.request, status="due", attempts=0
        )
    due = state.due + (known is None or known.status != "due")
    return replace(state, copies=state.copies.set(key, copy), requests=event.request, due=due)


def _mirrored(state: Target, event: e.Mirrored) -> Target:
    before = state.copies.get(key_of(event.model_id, event.number))
    aliases = state.aliases
    for alias in before.aliases if before else ():
        shown = f"{event.model_id}/{alias}"
        if aliases.get(shown) == event.number and alias not in event.aliases:
            aliases = aliases.delete(shown)
    for alias in event.aliases:
        aliases = aliases.set(f"{event.model_id}/{alias}", event.number)
    after = _ended(state, event, "due" if event.again else "mirrored")
    key = key_of(event.model_id, event.number)
    if key in after.copies:
        copy = replace(after.copies[key], aliases=event.aliases, model=event.model)
        after = replace(after, copies=after.copies.set(key, copy))
    return replace(after, aliases=aliases, failures=0, rests_until=None)


def _ended(
    state: Target,
    event: e.Mirrored | e.MirrorDeferred | e.MirrorFailed | e.MirrorDrifted,
    status: Status,
    attempts: int = 0,
) -> Target:
    key = key_of(event.model_id, event.number)
    known = state.copies.get(key)
    if known is None:
        return state
    due = state.due + (status == "due") - (known.status == "due")
    copy = replace(known, status=status, attempts=attempts)
    return replace(state, copies=state.copies.set(key, copy), due=due)
