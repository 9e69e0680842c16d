"""What does not match a pattern is refused with the rule in words, at every door."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel, ValidationError

from regista.errors import Refused
from regista.publishing.contract import check_message
from regista.wire.forms import RULES, rule_of
from services.audit.shapes import TimelineQuery
from services.cleanup.shapes import Policy
from services.registry.inbound import ModelTrained, VersionClaim
from services.registry.shapes.versions import Registration
from services.registry.trained_message import TrainedMessage
from shared.http.bodies import of_struct
from shared.http.problems import of_shape
from shared.messaging.kafka import Malformed

PUBLIC = Path(__file__).parents[2] / "schemas" / "public"
WRONG = {"model": "fraud.cards", "artifact": {"digest": "sha1:ab", "location": "x", "files": []}}
_REGEX = re.compile(r"\\d|\[0-9|\[A-Z|\^|\\A|\{\d+\}")


def _patterns(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("pattern"), str):
            yield value["pattern"]
        for inner in value.values():
            yield from _patterns(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _patterns(inner)


PATTERNS = sorted(
    {one for file in PUBLIC.rglob("*.json") for one in _patterns(json.loads(file.read_text("utf-8")))}
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_public_pattern_has_a_rule_in_words_whose_examples_match(pattern: str) -> None:
    rule = rule_of(pattern)
    assert rule in RULES.values()
    assert not _REGEX.search(rule)
    examples = [one.strip(" ,") for one in re.split(r",| or ", rule.partition("for example ")[2])]
    assert [one for one in examples if not re.search(pattern, one)] == []


def test_over_http_the_rule_is_in_words() -> None:
    with pytest.raises(ValidationError) as wrong:
        Registration.model_validate(WRONG)
    problem = of_shape(wrong.value, "body")
    assert "artifact.digest: Must be 'sha256:' and 64 digits" in problem.detail
    assert not _REGEX.search(problem.detail)


def test_a_message_read_by_msgspec_is_answered_in_words() -> None:
    with pytest.raises(msgspec.ValidationError) as wrong:
        msgspec.convert(WRONG, TrainedMessage)
    problem = of_struct(wrong.value)
    assert "artifact.digest: Must be 'sha256:'" in problem.detail
    assert not _REGEX.search(problem.detail)


def test_a_dead_letter_states_the_rule_in_words() -> None:
    with pytest.raises(ValidationError) as wrong:
        ModelTrained.model_validate(WRONG)
    reason = str(Malformed.in_shape(wrong.value))
    assert "Must be 'sha256:'" in reason
    assert not _REGEX.search(reason)


def test_the_client_states_the_rule_in_words_before_anything_is_sent() -> None:
    with pytest.raises(Refused) as refused:
        check_message({"model": "fraud.cards", "base": "²", "version": {"claim": "big"}})
    problems = {p.field: p.problem for p in refused.value.problems}
    assert "for example 1.2.0" in problems["version.claim"]
    assert not any(_REGEX.search(problem) for problem in problems.values())


def test_a_claim_states_what_it_may_be() -> None:
    with pytest.raises(ValidationError) as wrong:
        VersionClaim.model_validate({"claim": "big"})
    assert "major, minor, patch or a semantic version" in of_shape(wrong.value, "body").detail


@pytest.mark.parametrize("given", ["yesterday", "29.11.2026", "2026-11-29 22:45:30", "2026-13-01"])
def test_a_time_that_cannot_be_read_is_named_once_with_examples_that_can(given: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        TimelineQuery.model_validate({"since": given, "number": 0})
    number, since = sorted(of_shape(wrong.value, "query").facts["errors"], key=lambda e: e["field"])
    assert (number["field"], since["field"]) == ("number", "since")
    for example in re.findall(r"2026-\S+(?=,|$)", since["problem"]):
        assert TimelineQuery.model_validate({"since": example.rstrip(",")}).since
    assert "2026-03-01T12:00:00Z" in since["problem"]


def test_a_rule_of_our_own_is_stated_without_the_words_of_a_library() -> None:
    with pytest.raises(ValidationError) as wrong:
        Policy.model_validate({"unused": "90"})
    (error,) = of_shape(wrong.value, "body").facts["errors"]
    assert error["problem"].startswith("'90' is no duration: write a number")


def test_fields_that_are_called_date_keep_their_own_errors() -> None:
    class Deadline(BaseModel):
        date: dt.date

    with pytest.raises(ValidationError) as wrong:
        Deadline.model_validate({"date": "soon"})
    (error,) = of_shape(wrong.value, "body").facts["errors"]
    assert error["field"] == "date"
