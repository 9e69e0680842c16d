"""Who may add files to an upload, and when it goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest

from services.artifact.domain.upload import (
    AddFile,
    ExpireUpload,
    OpenUpload,
    RecordUploadDeleted,
    UploadDeleted,
    UploadExpired,
    UploadOpened,
    UploadState,
    decide,
    evolve,
)
from shared.decider import Forbidden, NotFound, RuleBroken

NOW = datetime(2026, 11, 23, tzinfo=UTC)
OPEN = OpenUpload("u", "anna", timedelta(days=1), NOW)


def given(*commands):
    return reduce(lambda state, command: reduce(evolve, decide(command, state), state), commands, UploadState())


def test_an_upload_says_until_when_it_is_kept():
    assert decide(OPEN, given()) == [UploadOpened("u", "anna", NOW + timedelta(days=1))]
    assert decide(OPEN, given(OPEN)) == []


def test_only_who_opened_it_adds_files():
    assert decide(AddFile("u", "anna"), given(OPEN)) == []
    with pytest.raises(Forbidden):
        decide(AddFile("u", "bert"), given(OPEN))
    with pytest.raises(NotFound):
        decide(AddFile("u", "anna"), given())


def test_nothing_is_added_to_an_expired_upload():
    with pytest.raises(RuleBroken, match="upload_expired"):
        decide(AddFile("u", "anna"), given(OPEN, ExpireUpload("u")))


def test_files_go_only_after_the_upload_expired():
    assert decide(RecordUploadDeleted("u"), given(OPEN)) == []
    assert decide(ExpireUpload("u"), given(OPEN)) == [UploadExpired("u")]
    assert decide(ExpireUpload("u"), given(OPEN, ExpireUpload("u"))) == []
    assert decide(RecordUploadDeleted("u"), given(OPEN, ExpireUpload("u"))) == [UploadDeleted("u")]
    assert decide(RecordUploadDeleted("u"), given(OPEN, ExpireUpload("u"), RecordUploadDeleted("u"))) == []
