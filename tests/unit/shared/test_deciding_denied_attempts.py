"""Denied attempts: an event for the first of an hour, one for the rest, and never more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from shared.deciding.denied_attempts import DENIED_ATTEMPTS, DeniedState, RecordDenied, hour_of
from shared.deciding.events import AttemptsDenied, EventTypes, encode

NOW = datetime(2026, 11, 29, 17, 30, tzinfo=UTC)
TRIED = AttemptsDenied("eve", "role_missing", "POST /x", hour_of(NOW), 1, NOW, NOW, "eve needs a role", {})


def folded(*events: AttemptsDenied) -> DeniedState:
    return reduce(DENIED_ATTEMPTS.evolve, events, DENIED_ATTEMPTS.initial)


def test_the_first_attempt_of_an_hour_is_recorded_once_by_all_replicas() -> None:
    assert DENIED_ATTEMPTS.decide(RecordDenied(TRIED, opening=True), DENIED_ATTEMPTS.initial) == [TRIED]
    assert DENIED_ATTEMPTS.decide(RecordDenied(TRIED, opening=True), folded(TRIED)) == []


def test_another_rule_action_model_or_hour_is_another_attempt() -> None:
    for other in (
        replace(TRIED, code="stale"),
        replace(TRIED, action="POST /y"),
        replace(TRIED, model_id="m"),
        replace(TRIED, hour=TRIED.hour + timedelta(hours=1)),
    ):
        assert DENIED_ATTEMPTS.decide(RecordDenied(other, opening=True), folded(TRIED)) == [other]


def test_the_rest_of_an_hour_is_recorded_whatever_was_before() -> None:
    rest = replace(TRIED, count=41)
    assert DENIED_ATTEMPTS.decide(RecordDenied(rest, opening=False), folded(TRIED)) == [rest]


def test_the_state_keeps_the_newest_hour_only() -> None:
    later = replace(TRIED, hour=TRIED.hour + timedelta(hours=1))
    assert folded(TRIED, later) == folded(later)
    assert folded(later, TRIED) == folded(later)


@given(st.datetimes(timezones=st.just(UTC)))
def test_an_hour_begins_at_most_an_hour_before(moment: datetime) -> None:
    assert timedelta(0) <= moment - hour_of(moment) < timedelta(hours=1)


def test_every_service_reads_the_event() -> None:
    assert EventTypes(()).decode("AttemptsDenied", 1, encode(TRIED)) == TRIED
