"""Requests made from each service's OpenAPI document: none fails, and every answer is as documented.

`REGISTA_FUZZ_SEED` and `REGISTA_FUZZ_EXAMPLES` try other and more requests.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import schemathesis
import schemathesis.specs.openapi.schemas
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.integration.sdk.conftest import House

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]
SEED = int(os.environ.get("REGISTA_FUZZ_SEED", "1"))
EXAMPLES = int(os.environ.get("REGISTA_FUZZ_EXAMPLES", "8"))
SERVICES = ("registry", "approval", "artifact", "cleanup", "audit")
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EVENT_STREAM = "text/event-stream"
"""An answer that does not end: tests/integration/audit/test_public_events.py tests it."""
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
EXISTING = {
    "model": "crm.churn",
    "version": "1",
    "number": "1",
    "environment": "production",
    "alias": "candidate",
    "subject": "publisher:ci",
    "name": "default",
}
"""Values that exist: a request with them gets further than to an unknown name."""


@dataclass
class Fuzz:
    """Sends requests to one service. `wrong` has the first unexpected answer to each operation."""

    url: str
    keys: list[str]
    session: requests.Session = field(default_factory=requests.Session)
    sent: int = 0
    wrong: dict[str, str] = field(default_factory=dict)

    def send(self, case: Any, key: str, existing: set[str]) -> None:
        """Send one request, with values that exist in the path and the query where `existing` names them."""
        for values in (case.path_parameters, case.query):
            for name in existing & set(values or {}):
                values[name] = EXISTING[name]
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self.sent += 1
        answer = case.call(base_url=self.url, session=self.session, headers=headers, timeout=60)
        try:
            case.validate_response(answer, checks=CHECKS)
        except (Failure, FailureGroup) as failures:
            found = failures.exceptions if isinstance(failures, FailureGroup) else [failures]
            about = "; ".join(f"{one.title}: {one.message}"[:600] for one in found)
            request = f"{answer.request.method} {answer.request.url} {str(answer.request.body)[:400]}"
            answered = f"{answer.status_code} {answer.content[:400]!r}"
            self.wrong.setdefault(case.operation.label, f"{request}\n    {answered}\n    {about}")


def fuzz_operation(fuzz: Fuzz, operation: Any) -> None:
    """Send requests that the document allows, and requests that it does not."""
    for mode in MODES:

        @seed(SEED)
        @settings(
            max_examples=EXAMPLES,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(
            operation.as_strategy(generation_mode=mode),
            st.sampled_from(fuzz.keys),
            st.sets(st.sampled_from(sorted(EXISTING))) | st.just(set(EXISTING)),
        )
        def send(case: Any, key: str, existing: set[str]) -> None:
            fuzz.send(case, key, existing)

        try:
            send()
        except Unsatisfiable:  # an operation without parameters has no wrong request
            assert mode is schemathesis.GenerationMode.NEGATIVE


@pytest.fixture(scope="module")
def keys(house: House) -> list[str]:
    """Return keys: of an admin most often, of people with fewer rights, and none."""
    house.run("admin", "access", "identity", "create", "u-lead", "--kind", "person")
    house.run("admin", "access", "grant", "u-lead", "admin", "--namespace", "crm")
    lead = house.run("admin", "access", "key", "issue", "u-lead")["api_key"]
    return [house.people[who].api_key for who in ("admin", "admin", "admin", "eng", "ci")] + [lead, lead, ""]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("service", SERVICES)
def test_no_request_fails_and_every_answer_is_as_documented(
    house: House, churn: dict[str, Any], keys: list[str], service: str
) -> None:
    url = house.instance.urls[service]
    fuzz = Fuzz(url, keys)
    document = fuzz.session.get(f"{url}/openapi.json", timeout=60).json()
    all_ = [found.ok() for found in schemathesis.openapi.from_dict(document).get_all_operations()]
    operations = [one for one in all_ if EVENT_STREAM not in str(one.definition.raw["responses"])]
    for operation in operations:
        fuzz_operation(fuzz, operation)
    sys.stdout.write(f"{service}: seed {SEED}, {len(operations)} operations, {fuzz.sent} requests\n")
    assert fuzz.sent > EXAMPLES * len(operations) / 2
    assert not fuzz.wrong, "\n\n".join(f"{label}\n    {why}" for label, why in sorted(fuzz.wrong.items()))
