"""A publisher reads the timeline of versions that they published, and of no others."""

from __future__ import annotations

import pytest

from tests.integration.audit.conftest import STREAM, Log, indexed

pytestmark = pytest.mark.servers

TIMELINE = "/v1/timeline/fraud.churn"


async def published(log: Log, number: int, by: str) -> None:
    version = {"model": "fraud.churn", "number": number, "semver": f"1.0.{number}", "contributors": [by]}
    await log.append("registry", STREAM, "VersionRegistered", version, by=by)
    note = {"model": "fraud.churn", "number": number, "semver": f"1.0.{number}", "text": "late", "by": by}
    await log.append("registry", STREAM, "NoteAdded", note | {"note": 1}, by=by)


async def test_a_publisher_reads_the_timeline_of_own_versions_only(service, people, auditor, log: Log):
    ci = await people.person("ci", ("publisher", "fraud"))
    sales = await people.person("sal", ("publisher", "sales"))
    await published(log, 1, "ci")
    await published(log, 2, "night")
    await indexed(service, auditor, log)

    async def known() -> bool:
        return (await service.call("GET", "/v1/timeline/none", sales)).status_code != 401

    await service.until(known)
    own = await service.get(TIMELINE, ci, number="1")
    assert [(e["type"], e["number"], e["hidden"]) for e in own["items"]] == [
        ("VersionRegistered", 1, False),
        ("NoteAdded", 1, False),
    ]
    for query in ({"number": "2"}, {"number": "9"}, {}):
        refused = await service.call("GET", TIMELINE, ci, params=query)
        assert (refused.status_code, refused.json()["code"]) == (403, "own_versions_only"), query
    foreign = await service.call("GET", TIMELINE, sales, params={"number": "1"})
    assert (foreign.status_code, foreign.json()["code"]) == (404, "unknown_model")
