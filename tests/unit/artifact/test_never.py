"""Laws: whatever happens in whatever order, bytes in use are not deleted and nothing unverified is released."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.artifact.domain.artifact import RecordDamaged, RecordDeleted, RecordIntact, RecordMismatched, RecordTagged, decide
from services.artifact.domain.artifact_state import (
    ArtifactDeleted,
    ArtifactExpired,
    ArtifactReceived,
    ArtifactReleased,
    ArtifactState,
    ArtifactVerified,
    evolve,
)
from shared.decider import RuleBroken
from tests.unit.artifact.words import DAY, DIGEST, NOW, recalled, registered, retired, rollout, stored, verified

numbers, generations = st.integers(1, 4), st.integers(1, 7)
models = st.sampled_from(["m1", "m2"])
revisions = st.integers(1, 60)
commands = st.one_of(
    st.builds(lambda n, m, r: registered(n, model=m, revision=r), numbers, models, revisions),
    st.builds(lambda n, m, r: retired(n, model=m, revision=r), numbers, models, revisions),
    st.builds(lambda n, m, r: recalled(n, model=m, revision=r), numbers, models, revisions),
    st.builds(lambda n, o, m, r: rollout(n, previous=[o], model=m, revision=r), numbers, numbers, models, revisions),
    st.builds(lambda n, g, m: verified(n, g, model=m), numbers, generations, models),
    st.builds(lambda n, g, m: RecordMismatched(m, n, g, DIGEST, "", "x"), numbers, generations, models),
    st.builds(lambda g: RecordIntact(g, DAY, NOW), generations),
    st.builds(lambda g: RecordDamaged(g, "x"), generations),
    st.builds(lambda g: RecordTagged(g, timedelta(), NOW), generations),
    st.builds(RecordDeleted, generations),
)


class Bytes:
    """What would lie in the store, by what the events say."""

    def __init__(self) -> None:
        self.handed_out: set[int] = set()
        self.verified: set[int] = set()
        self.expired = 0

    def follow(self, event) -> None:
        match event:
            case ArtifactReceived():
                assert event.generation not in self.handed_out, "a generation was handed out twice"
                self.handed_out.add(event.generation)
            case ArtifactVerified():
                assert event.generation > self.expired, "expired bytes were called verified"
                self.verified.add(event.generation)
            case ArtifactReleased():
                assert event.generation in self.verified, "bytes were released that nobody verified"
                assert event.generation > self.expired, "bytes were released that are to be deleted"
            case ArtifactExpired():
                self.expired = max(self.expired, event.generation)
            case ArtifactDeleted():
                assert event.generation <= self.expired, "bytes were deleted that did not expire"


@given(st.lists(commands, max_size=40))
@settings(max_examples=400, deadline=None)
def test_bytes_in_use_are_never_deleted_and_nothing_unverified_is_released(script):
    state, world = ArtifactState(), Bytes()
    for command in script:
        try:
            events = decide(command, state)
        except RuleBroken:
            continue
        for event in events:
            event = stored(event)  # noqa: PLW2901
            world.follow(event)
            state = evolve(state, event)
            released = [r for r in state.references.values() if r.status == "released"]
            assert all(r.generation > state.expired for r in released)
            if isinstance(event, ArtifactExpired):
                assert not [r for r in state.references.values() if r.live], "an artifact expired that a version refers to"
            assert state.attempts >= 0
        if any(r.status == "released" for r in state.references.values()):
            assert state.verified, "a version is released and nothing is verified"


@given(st.lists(commands, max_size=25), commands)
@settings(max_examples=200, deadline=None)
def test_a_command_whose_wish_is_true_leaves_no_event_the_second_time(script, last):
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


@given(st.lists(commands, max_size=40))
@settings(max_examples=100, deadline=None)
def test_when_everybody_left_the_bytes_can_be_deleted(script):
    state = ArtifactState()
    everybody = [retired(n, model=m, revision=10_000) for n in range(1, 5) for m in ("m1", "m2")]
    for command in (*script, *everybody):
        try:
            for event in decide(command, state):
                state = evolve(state, event)
        except RuleBroken:
            continue
    assert state.attempts == 0
    assert not state.verified
    if state.expired > state.deleted:
        assert isinstance(decide(RecordDeleted(state.expired), state)[0], ArtifactDeleted)
