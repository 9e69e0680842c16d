"""The reasons of messages that can never be accepted."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from shared.messaging.kafka import Malformed


class Report(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str
    counts: list[int]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            '{"counts": [1, "x\\n"]}',
            (
                "model: Field required; counts.1: Input should be a valid integer, unable to"
                " parse string as an integer"
            ),
        ),
        ("[]", "data: Input should be an object"),
    ],
)
def test_every_error_of_a_messages_shape_is_named_in_one_line_without_its_input(
    data: str, message: str
) -> None:
    with pytest.raises(ValidationError) as wrong:
        Report.model_validate_json(data)
    assert str(Malformed.in_shape(wrong.value)) == message


def test_the_first_twenty_of_many_errors_are_named() -> None:
    with pytest.raises(ValidationError) as wrong:
        Report.model_validate({"model": "m", "counts": ["x"] * 100})
    assert str(Malformed.in_shape(wrong.value)).count(";") == 19
