"""CloudEvents on Kafka: what goes in comes out, and hostile input gets one kind of answer."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.wire.cloudevents import CloudEvent, NotACloudEvent, from_kafka, to_kafka, utc

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=40)
NAMES = st.from_regex(r"\A[a-z0-9]{1,20}\Z").filter(
    lambda n: (
        n
        not in {
            "id",
            "source",
            "specversion",
            "type",
            "datacontenttype",
            "dataschema",
            "subject",
            "time",
            "data",
        }
    )
)
TIMES = st.datetimes().map(lambda t: t.isoformat() + "Z")
EVENTS = st.builds(
    CloudEvent,
    TEXT,
    TEXT,
    TEXT,
    TEXT,
    TIMES,
    st.binary(max_size=200),
    st.just("application/json"),
    st.none() | TEXT,
    st.dictionaries(NAMES, TEXT, max_size=5),
)

EVENT = CloudEvent(
    "1",
    "/publishers/bob",
    "regista.ModelTrained.v1",
    "churn",
    "2026-01-31T12:00:00Z",
    b"{}",
    extensions={"partitionkey": "churn"},
)


@given(EVENTS)
def test_an_event_read_back_from_its_message_is_the_event(event: CloudEvent) -> None:
    _, value, headers = to_kafka(event)
    assert from_kafka(value, headers) == event


@given(
    st.none() | st.binary(),
    st.lists(
        st.tuples(
            st.sampled_from(["ce_id", "ce_time", "ce_specversion", "content-type", "ce_é", "x"]) | st.text(),
            st.none() | st.binary(),
        )
    ),
)
def test_hostile_messages_raise_nothing_but_not_a_cloud_event(
    value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    with pytest.raises(NotACloudEvent):
        from_kafka(value, headers)


@given(EVENTS, st.data())
def test_a_damaged_header_raises_nothing_but_not_a_cloud_event(
    event: CloudEvent, data: st.DataObject
) -> None:
    _, value, headers = to_kafka(event)
    at = data.draw(st.integers(0, len(headers) - 1))
    headers[at] = (headers[at][0], data.draw(st.binary(max_size=30)))
    with suppress(NotACloudEvent):
        from_kafka(value, headers)


def test_the_key_is_the_partition_key_and_without_one_the_subject() -> None:
    assert to_kafka(replace(EVENT, extensions={"partitionkey": "k"}))[0] == b"k"
    assert to_kafka(replace(EVENT, extensions={}))[0] == b"churn"


def test_headers_of_the_transport_are_left_out() -> None:
    key, value, headers = to_kafka(EVENT)
    assert key == b"churn"
    assert from_kafka(value, [*headers, ("traceparent", b"00-1")]) == EVENT


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ce_specversion": b"0.3"}, "0.3"),
        ({"ce_specversion": None}, "ce_specversion is missing"),
        ({"ce_id": b""}, "id is missing"),
        ({"ce_time": b"yesterday"}, "RFC 3339"),
        ({"ce_time": b"2026-02-30T00:00:00Z"}, "not a valid time"),
        ({"ce_type": b"\xff"}, "not UTF-8"),
        ({"ce_Upper": b"x"}, "not a valid name of an extension"),
        ({"ce_subject": b"a\x00b"}, "control characters"),
        ({"ce_subject": b"a" * 9000}, "longer than"),
        ({"content-type": b"application/cloudevents+json"}, "binary mode"),
        ({f"ce_x{n}": b"1" for n in range(80)}, "more than 64"),
    ],
)
def test_a_refusal_names_what_is_wrong(change: dict[str, bytes | None], message: str) -> None:
    _, value, headers = to_kafka(EVENT)
    with pytest.raises(NotACloudEvent, match=message):
        from_kafka(value, list((dict(headers) | change).items()))


def test_a_header_that_is_there_twice_is_refused() -> None:
    _, value, headers = to_kafka(EVENT)
    with pytest.raises(NotACloudEvent, match="twice"):
        from_kafka(value, [*headers, ("ce_id", b"2")])


def test_a_message_without_data_is_refused_because_it_is_a_tombstone() -> None:
    with pytest.raises(NotACloudEvent, match="tombstone"):
        from_kafka(None, to_kafka(EVENT)[2])


@pytest.mark.parametrize(
    ("time", "zulu"),
    [
        ("2020-06-18T19:24:53+02:00", "2020-06-18T17:24:53Z"),
        ("2020-06-18t17:24:53.120300z", "2020-06-18T17:24:53.1203Z"),
        ("2020-06-18T17:24:53.000Z", "2020-06-18T17:24:53Z"),
    ],
)
def test_one_moment_has_one_zulu_form(time: str, zulu: str) -> None:
    assert utc(time) == zulu
