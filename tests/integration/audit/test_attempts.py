"""Denied attempts as audit shows them: of all, of one subject, about one model, in a period."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.audit.conftest import MODEL, Log, indexed, registered

pytestmark = pytest.mark.servers
ATTEMPTS = "/v1/reports/attempts"


async def tried(log: Log, service: str, subject: str, code: str, model_id: str = MODEL) -> str:
    data = {"subject": subject, "code": code, "action": "POST /x", "count": 3, "model_id": model_id}
    return await log.append(service, f"denied-{service}-{subject}", "AttemptsDenied", data, by=subject)


async def codes(service: Any, key: str, **query: Any) -> list[str]:
    return [event["data"]["code"] for event in (await service.get(ATTEMPTS, key, **query))["items"]]


@pytest.fixture
async def attempts(service, auditor, log: Log) -> None:
    await registered(log, 1, "1.0.0")
    await tried(log, "approval", "carl", "own_work")
    await tried(log, "registry", "eve", "role_missing")
    await tried(log, "registry", ".unknown", "key_unknown", "")
    await tried(log, "registry", "carl", "stale_model")
    await indexed(service, auditor, log)


async def test_attempts_of_all_come_newest_first(service, auditor, attempts):
    assert await codes(service, auditor) == ["stale_model", "key_unknown", "role_missing", "own_work"]
    first = await service.get(ATTEMPTS, auditor, page_size=3)
    rest = await service.get(ATTEMPTS, auditor, page_size=3, page_token=first["next_page_token"])
    assert [event["data"]["code"] for event in rest["items"]] == ["own_work"]
    assert rest["next_page_token"] == ""


async def test_attempts_of_one_subject_are_found_in_every_service(service, auditor, attempts):
    assert await codes(service, auditor, subject="carl") == ["stale_model", "own_work"]
    assert await codes(service, auditor, subject=".unknown") == ["key_unknown"]
    assert await codes(service, auditor, subject="zoe") == []


async def test_attempts_on_a_model_stand_in_the_report_and_in_its_timeline(service, auditor, attempts):
    of_model = ["stale_model", "role_missing", "own_work"]
    assert await codes(service, auditor, model="fraud.churn") == of_model
    timeline = (await service.get("/v1/timeline/fraud.churn", auditor))["items"]
    denied = [event["data"]["code"] for event in timeline if event["type"] == "AttemptsDenied"]
    assert sorted(denied) == sorted(of_model)


async def test_attempts_of_a_period_only(service, auditor, attempts):
    everything = (await service.get(ATTEMPTS, auditor))["items"]
    second = everything[-2]["recorded_at"]
    assert await codes(service, auditor, until=second) == ["role_missing", "own_work"]
    assert await codes(service, auditor, since=second) == ["stale_model", "key_unknown", "role_missing"]


async def test_an_auditor_of_a_namespace_sees_its_models_only(service, people, attempts):
    of_fraud = await people.person("fred", ("auditor", "fraud"))
    of_sales = await people.person("sara", ("auditor", "sales"))

    async def known() -> bool:
        return (await service.call("GET", "/v1/timeline/none", of_sales)).status_code != 401

    await service.until(known)
    assert len(await codes(service, of_fraud, model="fraud.churn")) == 3
    assert (await service.call("GET", ATTEMPTS, of_fraud)).status_code == 403
    foreign = await service.call("GET", ATTEMPTS, of_sales, params={"model": "fraud.churn"})
    assert foreign.status_code == 404
