"""Parameters that name a time or a day."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from pydantic import BaseModel, ValidationError

from shared.http.moments import Moment


class Period(BaseModel):
    since: Moment | None = None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-15", date(2026, 3, 15)),
        ("2026-03-15T12:00:00Z", datetime(2026, 3, 15, 12, tzinfo=UTC)),
        ("2026-03-15T14:00:00+02:00", datetime(2026, 3, 15, 12, tzinfo=UTC)),
        (None, None),
    ],
)
def test_a_moment_is_a_day_or_a_time_with_its_zone(text, moment):
    assert Period(since=text).since == moment


NO_MOMENTS = ("March", "2026-03", "2026-03-15 12:00:00", "2026-02-30", "15.03.2026", "")
SECONDS = ("20260315", "1773576000", "0", "-1")
MIDNIGHT_SOMEWHERE = ("2026-03-15T00:00:00", "2026-03-15 00:00")


@pytest.mark.parametrize("text", [*NO_MOMENTS, *SECONDS, *MIDNIGHT_SOMEWHERE])
def test_any_other_text_has_one_error_with_an_example_of_each_form(text):
    with pytest.raises(ValidationError) as wrong:
        Period(since=text)
    (error,) = wrong.value.errors()
    assert error["loc"] == ("since",)
    assert all(one in error["msg"] for one in ("2026-03-01,", "2026-03-01T12:00:00Z"))
