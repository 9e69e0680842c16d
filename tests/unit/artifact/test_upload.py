"""Who may add files to an upload, and when it goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest

from services.artifact.domain.manifest import Limits
from services.artifact.domain.upload import (
    AddFile,
    ExpireUpload,
    FileAdded,
    OpenUpload,
    RecordFile,
    RecordUploadDeleted,
    UploadDeleted,
    UploadExpired,
    UploadOpened,
    UploadState,
    decide,
    evolve,
)
from services.artifact.stored_events import EVENTS
from shared.deciding.decider import NotFound, RuleBroken, Unprocessable

NOW = datetime(2026, 11, 23, tzinfo=UTC)
DAY = timedelta(days=1)
LIMITS = Limits(files=2, bytes=100)


def adding(name="a", by="anna", after=timedelta()):
    """A file that takes an hour at most is about to come."""
    return AddFile("u", by, name, LIMITS, timedelta(hours=1), NOW + after)


OPEN = OpenUpload("u", "anna", timedelta(days=1), NOW)


def state_after(*commands):
    return reduce(
        lambda state, command: reduce(evolve, decide(command, state), state), commands, UploadState()
    )


def test_an_upload_has_the_time_until_which_it_is_kept():
    assert decide(OPEN, state_after()) == [UploadOpened("u", "anna", NOW + timedelta(days=1))]
    assert decide(OPEN, state_after(OPEN)) == []


def test_only_the_opener_of_an_upload_adds_files():
    assert decide(adding(), state_after(OPEN)) == []
    with pytest.raises(NotFound) as other:
        decide(adding(by="bert"), state_after(OPEN))
    with pytest.raises(NotFound) as none:
        decide(adding(by="bert"), state_after())
    assert (other.value.code, other.value.detail) == (none.value.code, none.value.detail)
    with pytest.raises(NotFound):
        decide(OpenUpload("u", "bert", timedelta(days=1), NOW), state_after(OPEN))
    with pytest.raises(NotFound):
        decide(adding(), state_after())


def test_nothing_is_added_to_an_expired_upload():
    with pytest.raises(RuleBroken, match="upload_expired"):
        decide(adding(), state_after(OPEN, ExpireUpload("u")))


def test_files_go_only_after_the_upload_expired():
    assert decide(RecordUploadDeleted("u"), state_after(OPEN)) == []
    assert decide(ExpireUpload("u"), state_after(OPEN)) == [UploadExpired("u")]
    assert decide(ExpireUpload("u"), state_after(OPEN, ExpireUpload("u"))) == []
    assert decide(RecordUploadDeleted("u"), state_after(OPEN, ExpireUpload("u"))) == [UploadDeleted("u")]
    assert (
        decide(RecordUploadDeleted("u"), state_after(OPEN, ExpireUpload("u"), RecordUploadDeleted("u"))) == []
    )


def test_a_file_that_might_arrive_after_the_upload_expired_is_refused_before_it_comes():
    assert decide(adding(after=timedelta(hours=23)), state_after(OPEN)) == []
    with pytest.raises(RuleBroken, match="upload_expired"):
        decide(adding(after=timedelta(hours=23, seconds=1)), state_after(OPEN))


def test_a_file_that_arrived_all_the_same_is_refused():
    with pytest.raises(RuleBroken, match="upload_expired"):
        decide(RecordFile("u", "a", 1), state_after(OPEN, ExpireUpload("u")))


def test_a_stored_file_is_counted_once_and_a_replaced_one_by_its_new_size():
    assert decide(RecordFile("u", "a", 1), state_after(OPEN)) == [FileAdded("u", "a", 1)]
    assert decide(RecordFile("u", "a", 1), state_after(OPEN, RecordFile("u", "a", 1))) == []
    assert (
        state_after(OPEN, RecordFile("u", "a", 70), RecordFile("u", "b", 20), RecordFile("u", "a", 10)).bytes
        == 30
    )


def test_an_upload_takes_no_more_files_and_bytes_than_an_artifact_may_have():
    full = state_after(OPEN, RecordFile("u", "a", 1), RecordFile("u", "b", 1))
    assert decide(adding("b"), full) == [], "it replaces one"
    with pytest.raises(RuleBroken, match="too_many_files"):
        decide(adding("c"), full)
    with pytest.raises(RuleBroken, match="artifact_too_large"):
        decide(adding("c"), state_after(OPEN, RecordFile("u", "a", 100)))


@pytest.mark.parametrize("name", ["a", "a/b/c"])
def test_no_name_is_both_a_file_and_a_folder(name):
    with pytest.raises(Unprocessable, match="unusable_name"):
        decide(adding(name), state_after(OPEN, RecordFile("u", "a/b", 1)))
    assert decide(adding("a/bc"), state_after(OPEN, RecordFile("u", "a/b", 1))) == []


def test_a_file_replaced_by_other_bytes_of_the_same_size_is_recorded_with_its_hash_and_etag():
    first, other = RecordFile("u", "a", 3, "aa", "etag-1"), RecordFile("u", "a", 3, "bb", "etag-2")
    assert decide(first, state_after(OPEN)) == [FileAdded("u", "a", 3, "aa", "etag-1")]
    assert decide(first, state_after(OPEN, first)) == []
    assert decide(other, state_after(OPEN, first)) == [FileAdded("u", "a", 3, "bb", "etag-2")]


def test_a_stored_file_of_schema_1_is_read_without_hash_and_etag():
    data = b'{"upload_id": "u", "name": "a.bin", "size": 3}'
    assert EVENTS.decode("FileAdded", 1, data) == FileAdded("u", "a.bin", 3)


@pytest.mark.parametrize(
    ("first", "name"),
    [("A", "a"), ("dir/x", "Dir/y"), ("a", "a/b"), ("a/b", "a"), ("x", "aux.txt"), ("x", "b.")],
)
def test_a_name_that_is_not_the_same_on_every_system_is_refused_before_it_comes(first, name):
    state = state_after(OPEN, RecordFile("u", first, 1, "00", "e"))
    with pytest.raises(Unprocessable, match="unusable_name"):
        decide(adding(name), state)
    assert decide(adding(first), state) == []
