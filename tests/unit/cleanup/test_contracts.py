"""What a report of use may say."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from services.cleanup.inbound import ModelUsed

REPORT = {
    "model": "churn",
    "number": 1,
    "count": 1,
    "window_start": "2026-01-01T00:00:00Z",
    "window_end": "2026-01-01T00:01:00+01:00",
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window_end": "2025-01-01T00:00:00Z"}, "before window_start"),
        ({"window_start": "0001-01-01T00:00:00+05:00", "window_end": "0001-01-01T00:00:00+05:00"}, "in UTC"),
        ({"window_end": "9999-12-31T23:00:00-05:00"}, "in UTC"),
        ({"count": 0}, "greater than or equal to 1"),
    ],
)
def test_a_report_without_usable_content_is_refused_with_the_reason(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelUsed.model_validate({**REPORT, "window_start": "2025-12-31T00:00:00Z", **changes})
