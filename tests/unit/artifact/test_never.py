"""Laws: in any order of events, bytes in use are not deleted and nothing unverified is released."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.artifact.domain.artifact import decide
from services.artifact.domain.artifact_commands import (
    RecordDamaged,
    RecordDeleted,
    RecordDiscarded,
    RecordIntact,
    RecordMismatched,
    RecordTagged,
    RecordVerified,
    RequestCheck,
)
from services.artifact.domain.artifact_events import (
    ArtifactExpired,
    ArtifactReceived,
    ArtifactReleased,
    ArtifactVerified,
)
from services.artifact.domain.artifact_state import ArtifactState, evolve
from shared.deciding.decider import RuleBroken
from tests.unit.artifact.commands import (
    DAY,
    DIGEST,
    NOW,
    promotion,
    recalled,
    registered,
    rejected,
    retired,
    rollout,
    stored,
    verified,
)

numbers, generations = st.integers(1, 4), st.integers(1, 7)
models = st.sampled_from(["m1", "m2"])
revisions = st.integers(1, 60)
commands = st.one_of(
    st.builds(lambda n, m, r: registered(n, model=m, revision=r), numbers, models, revisions),
    st.builds(lambda n, m, r: retired(n, model=m, revision=r), numbers, models, revisions),
    st.builds(lambda n, m, r: rejected(n, model=m, revision=r), numbers, models, revisions),
    st.builds(lambda n, m, r: promotion(n, model=m, revision=r), numbers, models, revisions),
    st.builds(RequestCheck, generations),
    st.builds(RecordDiscarded, generations),
    st.builds(lambda n, m, r: recalled(n, model=m, revision=r), numbers, models, revisions),
    st.builds(
        lambda n, o, m, r: rollout(n, previous=[o], model=m, revision=r), numbers, numbers, models, revisions
    ),
    st.builds(lambda n, g, m: verified(n, g, model=m), numbers, generations, models),
    st.builds(lambda n, g, m: RecordMismatched(m, n, g, DIGEST, "x"), numbers, generations, models),
    st.builds(lambda g: RecordIntact(g, DAY, NOW), generations),
    st.builds(lambda g: RecordDamaged(g, "x"), generations),
    st.builds(lambda g: RecordTagged(g, timedelta(), NOW), generations),
    st.builds(RecordDeleted, generations),
)


STEPS = (
    lambda n, _, at: registered(n, revision=at),
    lambda n, _, at: registered(n, revision=at),
    lambda n, _, at: retired(n, revision=at),
    lambda n, _, at: rejected(n, revision=at),
    lambda n, _, at: recalled(n, revision=at),
    lambda n, g, _: verified(n, g),
    lambda n, g, _: verified(n, g),
    lambda n, g, _: RecordMismatched("m1", n, g, DIGEST, "x"),
    lambda _, g, __: RecordDamaged(g, "x"),
    lambda _, g, __: RecordDeleted(g),
    lambda _, g, __: RecordDiscarded(g),
)
stories = st.lists(
    st.tuples(st.sampled_from(STEPS), st.integers(1, 2), st.integers(0, 5)), min_size=12, max_size=50
).map(lambda steps: [step(n, g, at) for at, (step, n, g) in enumerate(steps, 1)])
"""Commands about two versions, in the order of registry's events; workers may be late."""


class Bucket:
    """The generations that have bytes.

    Workers handle a due row even long after another worker handled the same row.
    """

    def __init__(self) -> None:
        self.state = ArtifactState()
        self.holds: set[int] = set()
        self.to_verify: set[tuple[str, int, int]] = set()
        self.to_delete: set[int] = set()
        self.to_discard: set[int] = set()

    def do(self, command) -> None:
        """Apply a command. The generation of a verdict or deletion selects one of all due rows."""
        match command:
            case RecordVerified() | RecordMismatched() if rows := sorted(self.to_verify):
                model_id, number, generation = rows[command.generation % len(rows)]
                command = replace(command, model_id=model_id, number=number, generation=generation)
                self.holds |= {generation} if isinstance(command, RecordVerified) else set()
            case RecordDeleted() if expiries := sorted(self.to_delete):
                command = RecordDeleted(expiries[command.generation % len(expiries)])
                self.holds -= {g for g in self.holds if g <= command.generation}
            case RecordDiscarded() if failed := sorted(self.to_discard):
                command = RecordDiscarded(failed[command.generation % len(failed)])
                self.holds -= {command.generation}
            case RecordVerified() | RecordMismatched() | RecordDeleted() | RecordDiscarded():
                return
        with contextlib.suppress(RuleBroken):
            for event in decide(command, self.state):
                self.follow(stored(event))

    def follow(self, event) -> None:
        match event:
            case ArtifactReceived():
                assert event.generation not in {g for _, _, g in self.to_verify}, (
                    "a generation was handed out twice"
                )
                self.to_verify.add((event.model_id, event.number, event.generation))
            case ArtifactVerified() | ArtifactReleased():
                assert event.generation in self.holds, "bytes were released that are not there"
            case ArtifactExpired():
                self.to_delete.add(event.generation)
        self.state = evolve(self.state, event)
        self.to_discard |= set(self.state.failed)
        if isinstance(event, ArtifactExpired):
            assert not [r for r in self.state.references.values() if r.live], (
                "an artifact expired that a version refers to"
            )

    def must_hold_what_is_in_use(self) -> None:
        assert not self.state.verified or self.state.verified in self.holds, "verified bytes were deleted"
        released = {r.generation for r in self.state.references.values() if r.live and r.status == "released"}
        assert released <= {self.state.verified}, "a version is released and its bytes are not verified"


@given(stories)
@settings(max_examples=200, deadline=None)
def test_bytes_in_use_are_never_deleted_and_nothing_unverified_is_released(script):
    bucket = Bucket()
    for command in script:
        bucket.do(command)
        bucket.must_hold_what_is_in_use()


@given(stories)
@settings(max_examples=150, deadline=None)
def test_after_the_last_version_ended_work_is_due_for_all_remaining_bytes(script):
    bucket = Bucket()
    for command in (*script, *(retired(n, revision=10_000) for n in (1, 2))):
        bucket.do(command)
    state = bucket.state
    left = {g for g in bucket.holds if g not in state.failed or state.failed[g]}
    assert all(any(g <= expiry for expiry in state.pending) for g in left), (
        "bytes stay for which no work is due"
    )


@given(st.lists(commands, max_size=25), commands)
@settings(max_examples=200, deadline=None)
def test_a_command_leaves_no_event_when_its_request_is_already_met(script, last):
    state = ArtifactState()
    for command in (*script, last):
        try:
            for event in decide(command, state):
                state = evolve(state, event)
        except RuleBroken:
            continue
    if isinstance(last, RecordIntact):
        return  # each check is a fact of its own
    try:
        assert list(decide(last, state)) == []
    except RuleBroken:
        return
