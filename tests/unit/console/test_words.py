"""Numbers, times and events as a page shows them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from regista.wire.event_types import EVENT_TYPES
from services.console.charts import Point, chart
from services.console.plain_words import WORDS, compared, in_words
from services.console.rendering import (
    ago,
    environment,
    exact,
    figure,
    initials,
    short,
    size,
    url,
    with_code,
    with_name,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "shown"),
    [
        (timedelta(seconds=20), "just now"),
        (timedelta(minutes=5), "5 min ago"),
        (timedelta(hours=3), "3 h ago"),
        (timedelta(days=9), "9 d ago"),
        (timedelta(days=65), "2 mo ago"),
        (timedelta(days=800), "2 y ago"),
        (-timedelta(days=2, hours=1), "in 2 d"),
    ],
)
def test_a_time_is_shown_by_its_largest_unit(before: timedelta, shown: str) -> None:
    assert ago((NOW - before).isoformat(), NOW) == shown


def test_a_time_that_is_missing_is_never() -> None:
    assert ago(None) == "never"


def test_an_exact_time_is_in_utc() -> None:
    assert exact("2026-03-01T13:00:05+01:00") == "1 Mar 2026, 12:00:05 UTC"


def test_a_digest_is_shortened_in_the_middle() -> None:
    assert short("sha256:" + "a" * 60 + "beef") == "sha256:aaaaaaaa…beef"
    assert short("short") == "short"
    assert short("a3c2754f" + "0" * 32 + "-dirty") == "a3c2754f…0000-dirty"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ann needs the role auditor.", "Ann Example needs the role auditor."),
        ("this is not for ann.", "this is not for Ann Example."),
        ("the channel of ann-old, ann.b and person:ann", "the channel of ann-old, ann.b and person:ann"),
    ],
)
def test_a_name_stands_in_place_of_the_whole_subject_only(text: str, shown: str) -> None:
    assert with_name(text, "ann", "Ann Example") == shown
    assert with_name(text, "ann", "") == text


@pytest.mark.parametrize(
    ("value", "shown"), [(0.94, "0.94"), (1234567, "1,234,567"), (0.123456, "0.1235"), (None, "–")]
)
def test_a_figure_has_at_most_four_decimals(value: object, shown: str) -> None:
    assert figure(value) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(12, "12 B"), (2048, "2.0 KiB"), (3 * 2**30, "3.0 GiB"), (None, "unknown size")]
)
def test_a_size_has_its_unit(count: object, shown: str) -> None:
    assert size(count) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("run `regista up` first", "run <code>regista up</code> first"),
        ("`<b>` & <i>", "<code>&lt;b&gt;</code> &amp; &lt;i&gt;"),
        ("one ` alone <b>", "one ` alone &lt;b&gt;"),
        (None, ""),
    ],
)
def test_a_command_in_a_text_is_shown_as_code_and_everything_is_escaped(text: object, shown: str) -> None:
    assert with_code(text) == shown


def test_initials_are_those_of_the_first_and_the_last_name() -> None:
    assert initials("Ada King Lovelace") == "AL"
    assert initials("person:ada") == "PA"


def test_a_path_quotes_what_it_is_made_of() -> None:
    assert url("models", "a/b?c", q="x y", page="") == "/models/a%2Fb%3Fc?q=x+y"


METRIC = {"name": "auc", "dataset_digest": "sha256:a", "value": 0.94, "higher_is_better": True}


def test_a_metric_on_other_data_is_not_comparable() -> None:
    assert compared(METRIC, METRIC | {"dataset_digest": "sha256:b"}) == "not comparable"


def test_a_metric_on_the_same_data_is_better_in_its_own_direction() -> None:
    champion = METRIC | {"value": 0.93}
    assert compared(METRIC, champion) == "▲ +0.0100"
    lower = {"higher_is_better": False}
    assert compared(METRIC | lower, champion | lower) == "▼ +0.0100"
    assert compared(METRIC, METRIC) == "= same"


def test_an_event_is_put_into_words() -> None:
    assert in_words({"type": "ReviewApproved"}) == "approved"
    assert in_words({"type": "SomethingNew"}) == "something new"
    assert "may not read" in in_words({"type": "ReviewApproved", "hidden": True})


def test_no_words_are_kept_for_the_same_event_in_other_letters() -> None:
    assert all(name[0].isupper() and " " not in name for name in WORDS)
    assert {"VersionPromoted", "ReviewApproved"} <= {
        name for names in EVENT_TYPES.values() for name in names
    } & set(WORDS)


def test_a_chart_places_the_highest_value_highest() -> None:
    made = chart([Point(1, 0.9, "1.0.0", False), Point(2, 0.95, "1.1.0", True)])
    assert made.points[1].y < made.points[0].y
    assert made.points[1].x > made.points[0].x


def test_a_chart_of_one_value_or_of_equal_values_has_a_scale() -> None:
    for points in ([Point(1, 0.0, "", True)], [Point(1, 5.0, "", True), Point(2, 5.0, "", True)]):
        assert len({label for _, label in chart(points).scale}) == 4


def test_every_template_compiles() -> None:
    templates = environment({})
    assert [name for name in templates.list_templates() if templates.get_template(name)] != []
