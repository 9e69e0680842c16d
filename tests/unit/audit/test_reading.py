from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit.domain.causal_tree import cause_in_log, forest
from services.audit.domain.reading import Stored, concerned, model_of_stream, owners, read
from shared.deciding.events import Cursor, encode

MODEL = "0199a000-0000-7000-8000-000000000001"
CHILD = "0199a000-0000-7000-8000-000000000002"
FAR = "0199a000-0000-7000-8000-000000000003"
AT = datetime(2026, 1, 1, tzinfo=UTC)


def stored(stream, data, **envelope):
    content = {"recorded_at": AT, "actor": {"subject": "ann"}, "data": data, **envelope}
    return Stored(
        Cursor(5, 7), "some-service", stream, 3, UUID(int=1), "SomethingHappened", bytes(32), encode(content)
    )


@pytest.mark.parametrize(
    ("stream", "model"),
    [
        (f"model-{MODEL}", MODEL),
        (f"retention-{MODEL}", MODEL),
        (f"gate-{MODEL}@3", MODEL),
        (f"gate-{MODEL}", MODEL),
        ("policy-default", None),
        ("artifact-0199a", None),
        ("name-churn", None),
        ("model-notanid", None),
    ],
)
def test_the_model_is_read_from_the_stream(stream, model):
    assert model_of_stream(stream) == model


def test_the_envelope_has_actor_time_reason_and_cause():
    entry = read(
        stored(
            "x-1",
            {},
            reason="drift",
            correlation_id="c",
            causation_id="e",
            actor={"subject": "ann", "method": "api-key", "on_behalf_of": "bob"},
        )
    )
    assert (entry.recorded_at, entry.reason, entry.correlation_id, entry.causation_id) == (
        AT,
        "drift",
        "c",
        "e",
    )
    assert (entry.actor.subject, entry.actor.on_behalf_of) == ("ann", "bob")


def models(stream, data):
    return read(stored(stream, data)).models


def test_models_are_found_where_services_name_them_each_with_its_versions():
    assert models(f"model-{MODEL}", {"number": 2, "child_model_id": CHILD, "child_number": 7}) == {
        MODEL: {2},
        CHILD: {7},
    }
    assert models(
        f"model-{MODEL}", {"number": 2, "metadata": {"parents": [{"model_id": FAR, "number": 3}]}}
    ) == {MODEL: {2}, FAR: {3}}
    assert models(
        "artifact-x", {"versions": [{"model_id": CHILD, "number": 1}, {"model_id": CHILD, "number": 2}]}
    ) == {CHILD: {1, 2}}
    assert models("artifact-x", {"source": {}, "data": {"model_id": FAR, "number": 5}}) == {FAR: {5}}


def test_a_publishers_documents_neither_name_a_model_nor_mention_one():
    """A name decides which auditors may query the model; a mention puts the event into its timeline."""
    config = {
        "model_id": CHILD,
        "model": "my-own.namespace",
        "versions": [{"model_id": FAR}],
        "inner": {"model_id": "x" * 10_000},
    }
    entry = read(stored(f"model-{MODEL}", {"model": "churn", "metadata": {"training": {"config": config}}}))
    assert (entry.names, entry.models) == ({MODEL: "churn"}, {MODEL: frozenset()})


@pytest.mark.parametrize(
    ("stream", "data", "owned_by"),
    [
        (f"model-{MODEL}", {"model_id": FAR, "child_model_id": CHILD}, {MODEL}),
        ("review-p", {"about": {"model_id": FAR}}, {FAR}),
        (
            "artifact-x",
            {"versions": [{"model_id": CHILD, "number": 1}, {"model_id": FAR, "number": 2}]},
            {CHILD, FAR},
        ),
        ("policy-default", {"name": "default"}, set()),
    ],
)
def test_an_event_belongs_to_the_model_of_its_stream_else_to_those_it_is_about_else_to_all_it_names(
    stream, data, owned_by
):
    assert owners(stream, data) == owned_by


def test_an_artifacts_event_without_a_version_concerns_the_versions_named_before():
    story = [
        {"data": {"model_id": MODEL, "number": 1}},
        {"uri": "x"},
        {"data": {"model_id": CHILD, "number": 4}},
        {"uri": "y"},
    ]
    entries = [read(stored("artifact-x", data)) for data in story]
    both = {MODEL: {1}, CHILD: {4}}
    assert [dict(found) for _, found in concerned(entries, {})] == [
        {MODEL: {1}},
        {MODEL: {1}},
        {CHILD: {4}},
        both,
    ]
    known = {}
    assert [dict(found) for part in (entries[:3], entries[3:]) for _, found in concerned(part, known)][
        -1
    ] == both
    assert [
        dict(found) for _, found in concerned([read(stored("sweep-1", data)) for data in story[:2]], {})
    ] == [{MODEL: {1}}, {}]


def test_an_event_is_about_its_own_number_not_that_of_its_evidence():
    entry = read(
        stored("x-1", {"champion": {"number": 9}, "about": {"number": 2, "promotion_id": "p"}, "number": 4})
    )
    assert (entry.number, entry.promotion_id) == (4, "p")


def test_an_event_about_several_versions_names_them_all_and_is_about_none_of_them():
    entries = [{"number": 2, "percent": 90}, {"number": 3, "percent": 10}]
    data = {"entries": entries, "champion": {"number": 9}, "previous": [{"number": 1}]}
    entry = read(stored(f"model-{MODEL}", data))
    assert (entry.number, entry.models) == (None, {MODEL: {1, 2, 3}})
    assert models(f"model-{MODEL}", {"from_number": 4, "to_number": 2, "entries": entries}) == {
        MODEL: {2, 3, 4}
    }
    assert read(stored("x-1", {"source": {}, "data": {"number": 7}})).number == 7


def test_a_name_belongs_to_the_model_whose_stream_calls_it_so():
    assert read(
        stored(f"model-{MODEL}", {"model": "churn", "parents": [{"model_id": CHILD, "model": "base"}]})
    ).names == {MODEL: "churn"}
    assert read(stored("review-1", {"about": {"model_id": MODEL, "model": "churn"}})).names == {
        MODEL: "churn"
    }


def test_bytes_that_are_no_envelope_are_still_indexed():
    broken = Stored(Cursor(5, 7), "s", f"model-{MODEL}", 1, UUID(int=1), "X", bytes(32), b"not json")
    assert set(read(broken).models) == {MODEL}
    assert read(broken).actor.subject == "unreadable"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_reading_never_fails_for_any_data(data):
    read(stored("x-1", data))


def test_effects_stand_under_their_cause_and_order_is_kept():
    caused_by = {"a": "message", "b": "a", "c": "b", "d": "a", "e": ""}
    events = [
        {"event_id": name, "causation_id": cause, "actor": {"subject": "service:approval"}}
        for name, cause in caused_by.items()
    ]
    a, e = forest(events)
    assert (a["event_id"], e["event_id"]) == ("a", "e")
    assert [n["event_id"] for n in a["effects"]] == ["b", "d"]
    assert [n["event_id"] for n in a["effects"][0]["effects"]] == ["c"]


@pytest.mark.parametrize(
    ("subject", "cause"), [("service:registry", "a"), ("ci", ""), ("ci:service:registry", ""), ("u-7k2m", "")]
)
def test_only_a_service_names_an_event_of_the_log_as_a_cause(subject, cause):
    event = {"event_id": "b", "causation_id": "a", "actor": {"subject": subject}}
    assert cause_in_log(event) == cause
    of_a = {"event_id": "a", "causation_id": "", "actor": {"subject": "service:registry"}}
    assert len(forest([of_a, event])) == (1 if cause else 2)
