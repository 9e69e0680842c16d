"""A refusal is never silent: over HTTP it is raised, on Kafka it is reported when the program ends."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from regista.client.sync_client import Client
from regista.errors import Refused

from .conftest import Answers, problem

REFUSED = {
    "state": "refused",
    "model": "churn",
    "problems": [{"field": "training.code", "problem": "missing"}],
}
DEAD = {
    "state": "dead_lettered",
    "model": "churn",
    "code": "role_missing",
    "problems": [{"field": "", "problem": "ci needs the role 'publisher'"}],
}
REGISTERED = {"state": "registered", "model": "churn", "number": 1, "semver": "1.0.0", "stage": "Staging"}

PROGRAM = """
import asyncio, logging
from regista.client.profile import Profile
from regista.client.async_publication import AsyncPublication
from regista.client.transport import Transport
from regista.publishing import unawaited
from regista.publishing.publication import TrainedMessage
unawaited.EXIT_SECONDS = 1.0
profile = Profile(url={url!r}, api_key="rg_a_b", usage_window=0)
sent = [TrainedMessage(id_, "churn", "") for id_ in {ids!r}]
for message in sent:
    unawaited.UNAWAITED.add(profile, message)
publications = [AsyncPublication(Transport(profile), message) for message in sent]
{more}
"""


def _ended(url: str, *ids: str, more: str = "") -> str:
    """Run a program that published these messages on Kafka; return what it printed at its end."""
    code = PROGRAM.format(url=url, ids=ids, more=more)
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return ran.stdout + ran.stderr


def test_a_refusal_over_http_is_raised_by_publish_itself(client: Client, answers: Answers) -> None:
    problems = [{"field": "signature", "problem": "is missing"}]
    answers.fixed["POST", "/v1/models/churn/versions"] = problem(
        422, "registration_refused", problems=problems
    )
    with pytest.raises(Refused, match="signature: is missing"):
        client.publish("churn", draft=True)


@pytest.mark.slow
def test_a_program_that_waits_for_nothing_reports_each_refusal_at_its_end(answers: Answers) -> None:
    answers.publications = {"a": REFUSED, "b": DEAD, "c": REGISTERED}
    # refusals are printed as they become known
    printed = sorted(_ended(answers.url, "a", "b", "c", "d").splitlines())
    assert len(printed) == 3, printed
    assert (
        "publication a of churn, which was not waited for, was refused: training.code: missing" in printed[0]
    )
    assert "b of churn" in printed[1]
    assert "role_missing" in printed[1]
    assert "d of churn" in printed[2]
    assert "has no known outcome" in printed[2]
    assert all("call wait()" in line for line in printed)


@pytest.mark.parametrize(
    "more",
    [
        "asyncio.run(publications[0].wait(5))",
        "publications[0].detach()",
        "import os\nif os.fork() == 0: raise SystemExit\nos.wait(); publications[0].detach()",
    ],
)
def test_what_was_waited_for_or_detached_is_not_reported(answers: Answers, more: str) -> None:
    answers.publications = {"a": REGISTERED}
    assert _ended(answers.url, "a", more=more) == ""


def test_a_refusal_that_was_raised_is_not_reported_again(answers: Answers) -> None:
    answers.publications = {"a": REFUSED}
    more = "try: asyncio.run(publications[0].wait(5))\nexcept Exception: pass"
    assert _ended(answers.url, "a", more=more) == ""


@pytest.mark.slow
def test_an_unreachable_registry_is_reported_and_does_not_hold_the_program_up() -> None:
    assert "no known outcome" in _ended("http://127.0.0.1:9", "a")


@pytest.mark.slow
def test_of_many_without_an_outcome_the_first_are_named_and_the_others_counted() -> None:
    lines = _ended("http://127.0.0.1:9", *map(str, range(8))).splitlines()
    assert len(lines) == 6, lines
    assert "3 more have no known outcome" in lines[-1]


def test_only_the_newest_of_many_are_looked_up(answers: Answers) -> None:
    ids = [str(n) for n in range(103)]
    answers.publications = dict.fromkeys(ids, REGISTERED)
    patient = "from regista.publishing import unawaited; unawaited.EXIT_SECONDS = 50.0"
    printed = _ended(answers.url, *ids, more=patient)
    assert "3 more publications were not waited for" in printed
    assert len([s for s in answers.seen if s.path.startswith("/v1/publications/")]) == 100
