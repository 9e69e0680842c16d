"""What is requested of a target, when it is tried again, and when that ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.mirror.domain.target import MOST_ATTEMPTS, is_mirrored, pause_after
from services.mirror.domain.target_commands import (
    AdvanceCheck,
    BeginCheck,
    FinishSurvey,
    RecordDrift,
    RemoveTarget,
    SetTarget,
)
from services.mirror.domain.target_events import Differs
from shared.deciding.decider import NotFound, RuleBroken, Unprocessable
from tests.unit.mirror.story import NAME, Story, kinds

DIFFERS = (Differs("stage", "Validated", "Production"),)


def test_a_target_that_is_set_again_as_it_is_changes_nothing() -> None:
    story = Story().set("fraud", "crm")
    assert story.do(SetTarget(NAME, "mlflow", ("crm", "fraud"), "Validated")) == []


def test_the_kind_of_a_target_never_changes() -> None:
    with pytest.raises(RuleBroken, match="mirror_kind_fixed"):
        Story().set().do(SetTarget(NAME, "sagemaker", ("*",), "Validated"))


@pytest.mark.parametrize(
    "wrong",
    [
        SetTarget("No Name", "mlflow", ("*",), "Validated"),
        SetTarget(NAME, "mlflow", (), "Validated"),
        SetTarget(NAME, "mlflow", ("a b",), "Validated"),
        SetTarget(NAME, "mlflow", ("*",), "Draft"),
    ],
)
def test_a_target_that_cannot_be_is_refused(wrong: SetTarget) -> None:
    with pytest.raises(Unprocessable):
        Story().do(wrong)


@pytest.mark.parametrize(
    ("namespaces", "namespace", "expected"),
    [
        (("*",), "", True),
        (("fraud",), "fraud.eu", True),
        (("fraud",), "fraudulent", False),
        (("a",), "", False),
    ],
)
def test_a_namespace_is_mirrored_with_all_below_it(
    namespaces: tuple[str, ...], namespace: str, expected: bool
) -> None:
    assert is_mirrored(namespaces, namespace) is expected


@pytest.mark.parametrize(
    ("from_stage", "enters", "expected"),
    [
        ("Validated", "Staging", []),
        ("Validated", "Validated", ["MirrorRequested"]),
        ("Validated", "Production", ["MirrorRequested"]),
        ("Production", "Validated", []),
        ("Staging", "Staging", ["MirrorRequested"]),
        ("Validated", "", []),
    ],
)
def test_a_version_is_requested_when_it_reaches_the_stage(
    from_stage: str, enters: str, expected: list[str]
) -> None:
    assert kinds(Story().set(from_stage=from_stage).request(enters=enters)) == expected


def test_every_later_change_of_a_mirrored_version_is_requested() -> None:
    story = Story().set()
    story.request()
    story.mirrored()
    assert kinds(story.request(enters="")) == ["MirrorRequested"]


def test_a_survey_requests_only_what_is_not_there() -> None:
    story = Story().set()
    story.request()
    story.mirrored()
    story.request(2)
    story.deferred("absent", 2)
    assert story.request(only="new") == []
    assert kinds(story.request(2, only="new")) == ["MirrorRequested"]


def test_bytes_that_become_available_concern_only_versions_that_wait_for_them() -> None:
    story = Story().set()
    story.request()
    story.mirrored()
    story.request(2)
    story.deferred("waiting", 2)
    assert story.request(enters="", only="waiting", model="") == []
    assert kinds(story.request(2, enters="", only="waiting", model="")) == ["MirrorRequested"]


def test_a_request_that_comes_during_an_attempt_is_not_lost() -> None:
    story = Story().set()
    story.request()
    before = story.newest()
    story.request(enters="")
    (event,) = story.mirrored(request=before)
    assert (event.again, event.next_at, story.status()) == (True, story.now, "due")  # type: ignore[union-attr]


def test_a_target_is_due_as_long_as_a_version_waits() -> None:
    story = Story().set()
    story.request()
    story.request(2)
    assert story.mirrored()[0].next_at == story.now  # type: ignore[union-attr]
    assert story.mirrored(2)[0].next_at is None  # type: ignore[union-attr]


def test_failures_in_a_row_let_the_target_rest_longer_and_a_success_ends_that() -> None:
    story = Story().set()
    story.request()
    story.request(2)
    rests = [(story.failed().next_at - story.now).total_seconds() for _ in range(4)]
    assert rests == [1, 2, 4, 8]
    story.mirrored(2)
    assert (story.failed().next_at - story.now).total_seconds() == 1


def test_a_target_is_left_alone_as_long_as_it_states() -> None:
    story = Story().set()
    story.request()
    assert story.failed(after=600).next_at - story.now == timedelta(seconds=600)
    (event,) = story.request(2)
    assert event.next_at - story.now == timedelta(seconds=600)  # type: ignore[union-attr, operator]


@settings(deadline=None)
@given(st.integers(1, 10_000), st.floats(allow_nan=False))
def test_no_rest_is_longer_than_a_day(failures: int, retry_after: float) -> None:
    assert timedelta(seconds=1) <= pause_after(failures, retry_after) <= timedelta(days=1)


def test_a_version_is_given_up_after_so_many_attempts_and_requested_again_later() -> None:
    story = Story().set()
    story.request()
    events = [story.failed() for _ in range(MOST_ATTEMPTS)]
    assert [e.gave_up for e in events] == [False] * (MOST_ATTEMPTS - 1) + [True]
    assert (events[-1].next_at, story.status()) == (None, "failed")
    story.request(enters="")
    assert (story.status(), story.failed().attempt) == ("due", 1)


def test_a_refusal_is_not_repeated_and_does_not_hold_up_the_others() -> None:
    story = Story().set()
    story.request()
    story.request(2)
    event = story.failed(retry=False)
    assert (event.gave_up, event.next_at, story.status()) == (True, story.now, "failed")
    assert story.status(2) == "due"


def test_results_for_a_target_that_was_removed_are_ignored() -> None:
    story = Story().set()
    story.request()
    before = story.newest()
    story.do(RemoveTarget(NAME))
    assert story.mirrored(request=before) == []
    assert story.do(FinishSurvey(NAME, 1)) == []
    with pytest.raises(NotFound):
        story.do(BeginCheck(NAME, "c", repair=False))


def test_a_target_that_is_set_again_begins_with_requests_of_its_own() -> None:
    story = Story().set()
    story.request()
    story.do(RemoveTarget(NAME))
    (event,) = story.do(SetTarget(NAME, "mlflow", ("*",), "Validated"))
    assert event.first_request == 2  # type: ignore[union-attr]
    assert story.status() == ""


def test_an_alias_is_known_of_the_version_that_shows_it() -> None:
    story = Story().set()
    for number in (1, 2):
        story.request(number)
        story.mirrored(number, aliases=("candidate",))
    assert dict(story.state.aliases) == {"m1/candidate": 2}
    story.request(1, enters="")
    story.mirrored(1, aliases=())
    assert dict(story.state.aliases) == {"m1/candidate": 2}


@pytest.mark.parametrize(("repair", "status"), [(False, "drifted"), (True, "due")])
def test_drift_is_recorded_and_written_again_on_request(repair: bool, status: str) -> None:
    story = Story().set()
    story.request()
    story.mirrored()
    story.do(BeginCheck(NAME, "c", repair=repair))
    (event,) = story.do(RecordDrift(NAME, "m1", 1, "c", DIFFERS, repair=repair))
    assert (event.differences, story.status()) == (DIFFERS, status)  # type: ignore[union-attr]


def test_a_version_that_is_being_written_has_not_drifted() -> None:
    story = Story().set()
    story.request()
    story.do(BeginCheck(NAME, "c", repair=True))
    assert story.do(RecordDrift(NAME, "m1", 1, "c", DIFFERS, repair=True)) == []


def test_one_check_runs_at_a_time() -> None:
    story = Story().set()
    story.do(BeginCheck(NAME, "c", repair=False))
    assert story.do(BeginCheck(NAME, "d", repair=False)) == []
    with pytest.raises(RuleBroken, match="mirror_check_runs"):
        story.do(BeginCheck(NAME, "d", repair=True))


@pytest.mark.parametrize(
    ("finished", "problem", "kind"),
    [(False, "", "MirrorCheckAdvanced"), (True, "", "MirrorChecked"), (False, "gone", "MirrorChecked")],
)
def test_a_check_goes_on_until_its_end_or_a_problem(finished: bool, problem: str, kind: str) -> None:
    story = Story().set()
    story.do(BeginCheck(NAME, "c", repair=False))
    advance: Any = AdvanceCheck(NAME, "c", "m1", 1, 1, 0, finished, problem)
    assert kinds(story.do(advance)) == [kind]


@given(st.lists(st.tuples(st.sampled_from("rmfgdw"), st.integers(1, 3)), max_size=40))
def test_what_is_due_is_counted_right_whatever_happens(steps: list[tuple[str, int]]) -> None:
    story = Story().set()
    for what, number in steps:
        if what == "r" or not story.status(number):
            story.request(number)
        elif story.status(number) == "due":
            match what:
                case "m":
                    story.mirrored(number)
                case "d" | "w":
                    story.deferred("absent" if what == "d" else "waiting", number)
                case _:
                    story.failed(number, retry=what == "f")
    due = [copy for copy in story.state.copies.values() if copy.status == "due"]
    assert story.state.due == len(due)
    if story.events and hasattr(story.events[-1], "next_at"):
        assert (story.events[-1].next_at is not None) == bool(due)
