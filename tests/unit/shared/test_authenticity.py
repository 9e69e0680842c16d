from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.wire.cloudevents import CloudEvent, to_kafka
from regista.wire.dsse import sign
from regista.wire.keys import SigningKey, generate_signing_key
from regista.wire.limits import DATA_BYTES
from shared.deciding.events import Actor
from shared.identity.public_keys import Signer
from shared.messaging.authenticity import Ignored, Refused, UnknownKey, Verdict, judge
from shared.messaging.kafka import (
    Handler,
    Malformed,
    Received,
    Subscription,
    by_publishers,
    by_service,
)


@dataclass
class Record:
    value: bytes | None
    headers: list[tuple[str, Any]] = field(default_factory=list)
    topic: str = "t"
    partition: int = 1
    offset: int = 7
    key: bytes | None = None
    timestamp: int = 0
    timestamp_type: int = 0


async def nothing(_: Received) -> list[Any]:
    return []


KEY = generate_signing_key("anna")
OWNERS = {KEY.key_id: Signer("anna", "publisher", KEY.public)}
EVENT = CloudEvent(
    "1",
    "/publishers/anna",
    "Known.v1",
    "fraud.cards",
    "2026-01-01T00:00:00Z",
    b'{"a":1}',
    extensions={"correlationid": "c", "traceparent": "t"},
)
STRICT = Subscription("t", "g", {"Known.v1": Handler(nothing)}, by_publishers, strict=True)


def judged(event: CloudEvent, key: SigningKey | None = KEY, subscription: Subscription = STRICT) -> Verdict:
    _, value, headers = to_kafka(sign(event, key) if key else event)
    return judge(Record(value, headers), subscription, OWNERS.get)  # type: ignore[arg-type]


def test_an_authentic_message_carries_its_data_signer_and_place() -> None:
    message = judged(EVENT)
    assert isinstance(message, Received)
    assert (message.data, message.signer, message.topic, message.partition, message.offset) == (
        {"a": 1},
        "anna",
        "t",
        1,
        7,
    )
    assert message.actor == Actor("anna", method=f"signature:{KEY.key_id}")


@pytest.mark.parametrize("name", ["id", "correlationid", "causationid"])
def test_an_id_that_no_index_could_hold_is_refused_before_it_is_in_the_log(name: str) -> None:
    def named(text: str) -> CloudEvent:
        return (
            replace(EVENT, id=text)
            if name == "id"
            else replace(EVENT, extensions={**EVENT.extensions, name: text})
        )

    refused = judged(named("x" * 401))
    assert isinstance(refused, Refused)
    assert refused.reason == f"{name} may have 400 characters"
    assert isinstance(judged(named("x" * 400)), Received)


@pytest.mark.parametrize(
    "time", ["2026-01-31t12:00:00z", "2026-01-31T13:00:00+01:00", "2026-01-31T12:00:00.000000000Z"]
)
def test_every_rfc_3339_form_of_a_time_is_the_same_time(time: str) -> None:
    message = judged(replace(EVENT, time=time))
    assert isinstance(message, Received)
    assert message.cause().occurred_at == datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_its_cause_is_the_event_and_each_part_of_it_a_cause_of_its_own() -> None:
    message = judged(EVENT)
    assert isinstance(message, Received)
    cause, part = message.cause(), message.cause("second")
    assert (cause.source, cause.id, cause.correlation_id, cause.causation_id) == (
        "/publishers/anna",
        "1",
        "c",
        "1",
    )
    assert (part.id, part.digest) == ("1/second", cause.digest)
    other = judged(replace(EVENT, data=b'{"a":2}'))
    assert isinstance(other, Received)
    assert other.cause().digest != cause.digest


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (judged(EVENT, None), "not signed"),
        (judged(EVENT, generate_signing_key("anna")), "unknown"),
        (judged(replace(EVENT, source="/publishers/bert")), "may not publish"),
        (judged(replace(EVENT, type="Known.v2")), "not known here"),
        (judged(replace(EVENT, data=b'{"a": "\\u0000"}')), "NUL"),
        (judged(replace(EVENT, data=b'{"a": "' + b"x" * DATA_BYTES + b'"}')), "at most 1,048,576"),
        (judge(Record(None), STRICT, OWNERS.get), "no data"),  # type: ignore[arg-type]
    ],
)
def test_what_is_not_authentic_is_refused_with_the_reason(verdict: Verdict, reason: str) -> None:
    assert isinstance(verdict, Refused)
    assert reason in verdict.reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"[]", "must be a JSON object"), (b'{"a": NaN}', "not JSON"), (b"[" * 100_000, "not JSON")],
)
def test_data_that_is_not_a_json_object_is_malformed_when_it_is_read(data: bytes, reason: str) -> None:
    message = judged(replace(EVENT, data=data))
    assert isinstance(message, Received)
    with pytest.raises(Malformed, match=reason):
        _ = message.data


def test_a_service_is_never_refused_for_the_size_of_its_events() -> None:
    event = replace(EVENT, source="/regista/registry", data=b'{"a": "' + b"x" * DATA_BYTES + b'"}')
    owner = {KEY.key_id: Signer("service:registry", "service", KEY.public)}
    _, value, headers = to_kafka(sign(event, KEY))
    subscription = Subscription("t", "g", {"Known.v1": Handler(nothing)}, by_service("registry"))
    assert isinstance(judge(Record(value, headers), subscription, owner.get), Received)  # type: ignore[arg-type]


ENDED = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("recorded", "key", "reason"),
    [
        ("2026-01-01T11:59:59.999999Z", {}, ""),
        ("2026-01-01T11:59:59.999999Z", {"until": ENDED}, ""),
        ("2026-01-01T12:59:59+01:00", {"until": ENDED}, ""),
        ("2026-01-01T12:00:00Z", {"until": ENDED}, "before the event was recorded (2026-01-01T12:00:00Z)"),
        ("2099-01-01T00:00:00Z", {"until": datetime(2100, 1, 1, tzinfo=UTC)}, ""),
        ("2026-01-01T11:00:00Z", {"until": ENDED, "compromised": True}, "compromised"),
        ("2026-01-01T11:00:00Z", {"compromised": True}, "compromised"),
        ("", {}, ""),
        ("", {"until": ENDED}, "an unknown time"),
        ("yesterday", {"until": ENDED}, "RFC 3339"),
    ],
)
def test_a_services_event_is_valid_if_its_key_was_valid_when_it_was_recorded(
    recorded: str, key: dict[str, Any], reason: str
) -> None:
    event = replace(
        EVENT, source="/regista/registry", extensions={"recordedtime": recorded} if recorded else {}
    )
    owner = {KEY.key_id: Signer("service:registry", "service", KEY.public, **key)}
    _, value, headers = to_kafka(sign(event, KEY))
    verdict = judge(
        Record(value, headers), Subscription("t", "g", STRICT.handlers, by_service("registry")), owner.get
    )  # type: ignore[arg-type]
    if not reason:
        assert isinstance(verdict, Received)
        return
    assert isinstance(verdict, Refused)
    assert not isinstance(verdict, UnknownKey)
    assert reason in verdict.reason


@pytest.mark.parametrize(
    ("until", "accepted"),
    [(datetime(2100, 1, 1, tzinfo=UTC), True), (datetime(2026, 1, 2, tzinfo=UTC), False)],
)
def test_a_publishers_key_must_be_valid_now_whatever_time_its_message_claims(
    until: datetime, accepted: bool
) -> None:
    event = replace(EVENT, extensions={"recordedtime": "2026-01-01T00:00:00Z"})
    _, value, headers = to_kafka(sign(event, KEY))
    verdict = judge(
        Record(value, headers), STRICT, {KEY.key_id: Signer("anna", "publisher", KEY.public, until)}.get
    )  # type: ignore[arg-type]
    assert isinstance(verdict, Received if accepted else Refused)


@pytest.mark.parametrize(
    ("by_broker", "at", "taken", "accepted"),
    [
        (1, datetime(2026, 1, 1, tzinfo=UTC), False, True),
        (1, datetime(2026, 1, 3, tzinfo=UTC), False, False),
        (0, datetime(2026, 1, 1, tzinfo=UTC), False, False),
        (1, datetime(2026, 1, 1, tzinfo=UTC), True, False),
    ],
    ids=["stored before its end", "stored after its end", "the sender's own time", "revoked since"],
)
def test_an_expired_key_counts_for_what_the_broker_stored_before(
    by_broker: int, at: datetime, taken: bool, accepted: bool
) -> None:
    _, value, headers = to_kafka(sign(EVENT, KEY))
    owner = Signer("anna", "publisher", KEY.public, datetime(2026, 1, 2, tzinfo=UTC), taken=taken)
    record = Record(value, headers, timestamp=int(at.timestamp() * 1000), timestamp_type=by_broker)
    verdict = judge(record, STRICT, {KEY.key_id: owner}.get)  # type: ignore[arg-type]
    assert isinstance(verdict, Received if accepted else Refused)


def test_a_message_of_a_job_carries_who_started_it() -> None:
    _, value, headers = to_kafka(sign(EVENT, KEY))
    owner = Signer("anna", "publisher", KEY.public, started_by="octocat")
    message = judge(Record(value, headers), STRICT, {KEY.key_id: owner}.get)  # type: ignore[arg-type]
    assert isinstance(message, Received)
    assert message.actor == Actor("anna", method=f"signature:{KEY.key_id}", on_behalf_of="octocat")


def test_the_time_that_decides_is_signed() -> None:
    event = sign(
        replace(EVENT, source="/regista/registry", extensions={"recordedtime": "2026-01-01T12:00:01Z"}), KEY
    )
    _, value, headers = to_kafka(
        replace(event, extensions={**event.extensions, "recordedtime": "2026-01-01T11:00:00Z"})
    )
    owner = {KEY.key_id: Signer("service:registry", "service", KEY.public, ENDED)}
    verdict = judge(
        Record(value, headers), Subscription("t", "g", STRICT.handlers, by_service("registry")), owner.get
    )  # type: ignore[arg-type]
    assert isinstance(verdict, Refused)
    assert "altered" in verdict.reason


def test_an_unknown_key_is_not_reported_as_a_bad_signature() -> None:
    assert isinstance(judged(EVENT, generate_signing_key("anna")), UnknownKey)


def test_a_message_of_a_type_without_a_handler_is_ignored_without_verification() -> None:
    assert isinstance(judged(replace(EVENT, type="Other.v1"), None, replace(STRICT, strict=False)), Ignored)


def test_a_service_may_send_its_own_events_only() -> None:
    signer = Signer("service:artifact", "service", KEY.public)
    event = replace(EVENT, source="/regista/artifact")
    assert by_service("artifact")(signer, event)
    assert not by_service("approval")(signer, event)
    assert not by_service("artifact")(signer, EVENT)
    assert not by_service("artifact")(replace(signer, kind="publisher"), event)
    assert not by_publishers(signer, replace(EVENT, source="/publishers/service:artifact"))


HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["ce_id", "ce_specversion", "ce_type", "ce_dssematerial", "content-type", "x"]),
        st.binary(max_size=50) | st.none(),
    ),
    max_size=8,
)


@given(st.binary(max_size=200) | st.none(), HEADERS)
def test_no_record_whatever_its_bytes_can_do_more_than_be_refused(
    value: bytes | None, headers: list[tuple[str, Any]]
) -> None:
    assert isinstance(judge(Record(value, headers), STRICT, OWNERS.get), Refused)  # type: ignore[arg-type]


@given(st.data())
def test_a_signed_record_altered_anywhere_is_refused(data: st.DataObject) -> None:
    _, value, headers = to_kafka(sign(EVENT, KEY))
    index = data.draw(st.integers(0, len(headers)))
    if index == len(headers):
        value = value + b" "
    else:
        name, kept = headers[index]
        headers[index] = (name, kept + data.draw(st.binary(min_size=1, max_size=3)))
    assert isinstance(judge(Record(value, headers), STRICT, OWNERS.get), Refused)  # type: ignore[arg-type]
