"""Moments of the log: what changed of what serves, of policies and of rights, for whom may read it."""

from __future__ import annotations

import pytest

from tests.integration.audit.conftest import EPOCH, Log, at, indexed, promoted, published, registered
from tests.integration.audit.test_reports import moment, of_another_namespace

pytestmark = pytest.mark.servers


async def test_the_moments_of_the_log_are_its_changes_with_those_next_to_the_one_asked_about(
    service, auditor, people, log: Log
):
    of_fraud = await people.person("fay", ("auditor", "fraud"))
    outside = await people.person("ned", ("approver", "fraud"))
    await published(log)
    await registered(log, 1, "1.0.0")
    await promoted(log, 1, "1.0.0")
    between = next(log.minutes)
    grant = {"subject": "bea", "role": "approver", "namespace": "fraud", "by": "root"}
    await log.append("access", "access-bea", "RoleGranted", grant, by="root")
    await of_another_namespace(log)
    await indexed(service, auditor, log)
    found = await service.get("/v1/moments", auditor, at=moment(between))
    assert found["first"].startswith(EPOCH.isoformat()[:10])
    before, after = found["before"], found["after"]
    assert (before["type"], before["model"], before["environment"]) == (
        "RolloutChanged",
        "fraud.churn",
        "production",
    )
    assert (after["type"], after["model"], after["by"]) == ("RoleGranted", "", "root")
    assert found["items"] == sorted(found["items"], key=lambda one: one["at"])
    assert {"VersionRegistered", "Noted"} & {one["type"] for one in found["items"]} == set()
    early = await service.get("/v1/moments", auditor, at=at(-1).isoformat())
    assert early["before"] is None
    assert early["after"]["type"] == "PolicyPublished"

    async def known() -> bool:
        return (await service.call("GET", "/v1/moments", outside)).status_code != 401

    await service.until(known)
    narrow = await service.get("/v1/moments", of_fraud, at=moment(between))
    assert {one["model"] for one in (*narrow["items"], narrow["before"])} == {"fraud.churn"}
    assert narrow["after"] is None
    refused = await service.call("GET", "/v1/moments", outside)
    assert (refused.status_code, refused.json()["code"]) == (403, "role_missing")
