"""Moments of the log: what changed of what serves, of policies and of rights, for whom may read it."""

from __future__ import annotations

import asyncpg
import pytest

from services.audit import moment_queries
from tests.integration.audit.conftest import EPOCH, Audit, Log, at, indexed, promoted, published, registered
from tests.integration.audit.test_reports import moment, of_another_namespace, until_known

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
    shown = [(one["type"], one["model"]) for one in found["items"]]
    assert shown == [("RolloutChanged", "sales.offers"), ("RoleGranted", "")]  # the last is of this moment
    early = await service.get("/v1/moments", auditor, at=at(-1).isoformat())
    assert early["before"] is None
    assert early["after"]["type"] == "PolicyPublished"

    await until_known(service, outside)
    narrow = await service.get("/v1/moments", of_fraud, at=moment(between))
    assert {one["model"] for one in (*narrow["items"], narrow["before"])} == {"fraud.churn"}
    assert narrow["after"] is None
    refused = await service.call("GET", "/v1/moments", outside)
    assert (refused.status_code, refused.json()["code"]) == (403, "role_missing")


async def test_each_part_of_the_logs_span_shows_its_newest_change(audit: Audit, log: Log):
    await published(log)
    await registered(log, 1, "1.0.0")
    await promoted(log, 1, "1.0.0")
    await of_another_namespace(log)
    await audit.catch_up()
    async with asyncpg.create_pool(log.database.url("audit"), min_size=1, max_size=1) as pool:
        by_minutes = await moment_queries.moments(pool, at(0), at(60), at(30))
        by_hours = await moment_queries.moments(pool, at(0), at(6_000), at(30))
    changes = ["PolicyPublished", "VersionPromoted", "RolloutChanged", "VersionPromoted", "RolloutChanged"]
    assert [one["type"] for one in by_minutes.spread] == changes
    assert [one["type"] for one in by_hours.spread] == changes[-1:]
