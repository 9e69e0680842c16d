"""`regista alias set` names a version by its number, or by what follows the @."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Answers

PATH = "/v1/models/churn/aliases/candidate"


@pytest.mark.parametrize("words", [["churn", "candidate", "4"], ["churn@1.2.0", "candidate"]])
def test_an_alias_is_set_on_a_version_named_in_either_way(run: Any, answers: Answers, words: Any) -> None:
    answers.any = {"number": 4}
    done = run("alias", "set", *words)
    assert "churn@candidate is version 4 now" in done.output
    (sent,) = answers.of("PUT", PATH)
    assert json.loads(sent.body) == {"number": 4}


@pytest.mark.parametrize("words", [["churn", "candidate"], ["churn@3", "candidate", "4"]])
def test_a_version_named_twice_or_not_at_all_is_wrong_usage(run: Any, answers: Answers, words: Any) -> None:
    done = run("alias", "set", *words)
    assert (done.exit_code, answers.of("PUT", PATH)) == (2, [])
    assert "regista alias set churn candidate 4" in done.output
