"""Which version serves a request: the client's choice, the service's and the documents' are one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse

from regista.calls.rollouts import routed
from regista.client.sync_client import Client
from regista.errors import RuleBroken

from .conftest import Answers

DOCUMENT = Path(__file__).parents[3] / "docs" / "routing.md"
ROLLOUT = "/v1/models/churn/rollouts/production"


def rollout(*entries: tuple[int, int, str], **more: Any) -> dict[str, Any]:
    """A rollout as the service answers it; entries are (number, percent, role)."""
    shown = [
        {"number": n, "semver": f"1.{n}.0", "percent": p, "role": role, "withdrawn": None}
        for n, p, role in entries
    ]
    return {"model": "churn", "model_id": "m1", "environment": "production", "entries": shown, **more}


SPLIT = rollout((3, 90, "champion"), (4, 10, "challenger"), (5, 0, "shadow"))


def test_the_test_vectors_of_the_document_hold() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    vectors = json.loads(block)
    assert len(vectors) >= 8
    for vector in vectors:
        entries = [(int(n), p, "champion") for n, p in vector["shares"].items()]
        assert routed(rollout(*entries), vector["key"])["number"] == vector["number"], vector


def test_requests_are_routed_here_from_one_reading_of_the_rollout(client: Client, answers: Answers) -> None:
    answers.fixed["GET", ROLLOUT] = JSONResponse(SPLIT)
    numbers = [client.route("churn", key=f"user-{n}")["number"] for n in range(200)]
    assert {3, 4} == set(numbers)
    assert numbers == [routed(SPLIT, f"user-{n}")["number"] for n in range(200)]
    assert len(answers.of("GET", ROLLOUT)) == 1
    client.route("churn", key="user-1", max_age=-1)
    assert len(answers.of("GET", ROLLOUT)) == 2


def test_a_request_without_a_key_is_drawn_again_each_time(client: Client, answers: Answers) -> None:
    answers.fixed["GET", ROLLOUT] = JSONResponse(SPLIT)
    assert {client.route("churn")["number"] for _ in range(200)} == {3, 4}


def test_a_withdrawn_version_and_a_stopped_rollout_are_refused_with_what_to_do(
    client: Client, answers: Answers
) -> None:
    withdrawn = rollout((3, 100, "champion"))
    withdrawn["entries"][0]["withdrawn"] = "poisoned"
    answers.fixed["GET", ROLLOUT] = JSONResponse(withdrawn)
    with pytest.raises(RuleBroken, match="poisoned") as refused:
        client.route("churn", key="u")
    assert refused.value.code == "version_withdrawn"
    assert "regista rollback" in refused.value.advice
    answers.fixed["GET", ROLLOUT] = JSONResponse(rollout())
    with pytest.raises(RuleBroken) as refused:
        client.route("churn", key="u", max_age=-1)
    assert refused.value.code == "rollout_stopped"
