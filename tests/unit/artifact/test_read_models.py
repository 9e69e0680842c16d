"""What the read models show is what the streams say, whatever happens in whatever order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.artifact.domain.artifact import decide
from services.artifact.domain.artifact_events import ArtifactExpired
from services.artifact.domain.artifact_state import ArtifactState, evolve, key_of, phase
from services.artifact.projections import CHECK, DELETE, DISCARD, VERIFY, project
from services.artifact.tables import ARTIFACTS, REFERENCES
from shared.deciding.changes import Drop, Put
from shared.deciding.decider import RuleBroken
from shared.deciding.events import Actor, Recorded
from shared.log.due_work import DUE
from tests.unit.artifact.commands import DIGEST, NOW
from tests.unit.artifact.test_never import commands

HEX = DIGEST[7:]


class Rows:
    """Tables in memory."""

    def __init__(self) -> None:
        self.of: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {
            t.name: {} for t in (ARTIFACTS, REFERENCES, DUE)
        }

    def apply(self, change: Any) -> None:
        rows, names = self.of[change.table.name], [c.name for c in change.table.primary_key.columns]
        key = tuple((change.row if isinstance(change, Put) else change.key)[n] for n in names)
        if isinstance(change, Put):
            rows[key] = dict(change.row)
        elif isinstance(change, Drop):
            rows.pop(key, None)
        elif key in rows:
            rows[key].update(change.columns)

    def due(self, kind: str) -> dict[str, dict[str, Any]]:
        return {key: row for (k, key), row in self.of["due"].items() if k == kind}


def recorded(event: Any, revision: int) -> Recorded:
    at = NOW + timedelta(seconds=revision)
    return Recorded(
        "artifact",
        f"artifact-{HEX}",
        revision,
        UUID(int=revision),
        type(event).__name__,
        1,
        at,
        Actor("service:artifact"),
        event,
        b"",
    )


@given(st.lists(commands, max_size=40))
@settings(max_examples=300, deadline=None)
def test_rows_match_the_stream_and_unfinished_work_has_its_due_row(script):
    state, rows = ArtifactState(), Rows()
    for command in script:
        try:
            events = decide(command, state)
        except RuleBroken:
            continue
        for event in events:
            state = evolve(state, event)
            for change in project(recorded(event, state.revision)):
                rows.apply(change)
    if not state.revision:
        return
    row = rows.of["artifacts"][(HEX,)]
    names = ("generation", "verified", "quarantined", "expired", "deleted")
    assert phase(*(row[n] for n in names)) == phase(
        state.generation, state.verified, state.quarantined, state.expired, state.deleted
    )
    for ref in rows.of["artifact_references"].values():
        known = state.references[key_of(ref["model_id"], ref["number"])]
        assert (ref["status"], ref["withdrawn"], ref["rejected"]) == (
            "available" if known.status == "released" else known.status,
            known.recalled,
            known.rejected,
        )
    waiting = {key for key, ref in state.references.items() if ref.status == "received" and not ref.withheld}
    assert set(rows.due(VERIFY)) == waiting
    assert {(r["data"]["generation"], r["data"]["tagged"]) for r in rows.due(DELETE).values()} == set(
        state.pending.items()
    )
    assert {r["data"]["generation"] for r in rows.due(DISCARD).values()} == {
        g for g, gone in state.failed.items() if not gone
    }
    assert set(rows.due(CHECK)) <= ({HEX} if state.verified else set())
    if state.check_requested:
        assert set(rows.due(CHECK)) == {HEX}


def test_due_work_carries_the_chain_of_causes():
    event = msgspec.structs.replace(
        recorded(ArtifactExpired(DIGEST, 1), 7), correlation_id="c", trace="00-t", event_id=(id_ := uuid4())
    )
    (row,) = [c.row for c in project(event) if isinstance(c, Put)]
    assert row["data"]["caused"] == {"correlation_id": "c", "causation_id": str(id_), "trace": "00-t"}
