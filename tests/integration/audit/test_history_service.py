"""Exported history as its users meet it: over HTTP and the command line, by itself in the running service,
and as files that others query.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from regista.exported_history import verify
from regista.wire.history import FOLDER
from tests.integration.audit.conftest import Audit, Log
from tests.integration.audit.test_history import copied, s3_store
from tests.processes import Running, running_here

ROOT = Path(__file__).parents[3]
CHURN, SPAM = "model-0199a000-0000-7000-8000-000000000001", "model-0199a000-0000-7000-8000-000000000002"
pytestmark = pytest.mark.servers


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the service exports to: whole files of four events."""
    for name, value in {"DIR": str(tmp_path / "kept"), "CHUNK_LEAVES": "4", "EVERY": "0.2"}.items():
        monkeypatch.setenv(f"REGISTA_HISTORY_{name}", value)
    return tmp_path / "kept"


@pytest.fixture
async def service(
    stack: Any, database: Any, tmp_path: Path, audit_key: Any, kept: Path
) -> AsyncIterator[Running]:
    async with running_here(stack, database, tmp_path, "audit", audit_key) as here:
        yield here


@pytest.fixture
async def auditor(people: Any) -> str:
    key: str = await people.person("otto", ("auditor", "*"))
    return key


async def served(
    log: Log,
    stream: str,
    model: str,
    entries: list[tuple[int, int, str]],
    kind: str = "RolloutChanged",
    environment: str = "production",
) -> str:
    shares = [
        {"number": n, "semver": f"1.{n}.0", "percent": percent, "role": role} for n, percent, role in entries
    ]
    return await log.append(
        "registry",
        stream,
        kind,
        {"model": model, "environment": environment, "entries": shares, "previous": []},
        by="ann",
    )


async def story(log: Log) -> None:
    """Eleven events of three services."""
    await served(log, CHURN, "fraud.churn", [(1, 100, "champion")])
    requested = await log.append("registry", CHURN, "PromotionRequested", {"number": 2}, reason="better")
    await log.append("approval", "gate-1", "GatesEvaluated", {"passed": True}, caused_by=requested)
    await log.append("approval", "gate-1", "PromotionGranted", {}, caused_by=requested)
    await served(log, CHURN, "fraud.churn", [(1, 90, "champion"), (2, 10, "challenger")])
    await served(log, SPAM, "mail.spam", [(7, 100, "champion")])
    await served(log, SPAM, "mail.spam", [(8, 100, "champion")], environment="staging")
    await served(log, CHURN, "fraud.churn", [(2, 100, "champion")])
    await served(log, CHURN, "fraud.churn", [(1, 100, "champion")], kind="RolledBack")
    await log.append("cleanup", "retention-1", "VersionSpared", {})
    trained = {"training": {"dataset": {"name": "transactions-2026-02"}}}
    await log.append(
        "registry", CHURN, "VersionRegistered", {"model": "fraud.churn", "number": 2, "metadata": trained}
    )


async def exported(service: Running, auditor: str, leaves: int) -> dict[str, Any]:
    async def answers() -> Any:
        found = await service.get("/v1/history", auditor)
        return found if found["exported"] >= leaves else None

    found: dict[str, Any] = await service.until(answers)
    return found


async def total(audit: Audit) -> int:
    return int(await audit.connection.fetchval("SELECT count(*) FROM log.events"))


async def sealed(service: Running, auditor: str, leaves: int) -> None:
    async def answers() -> bool:
        found = await service.get("/v1/history", auditor)
        return bool(found["signed"] >= leaves)

    await service.until(answers)


async def test_whole_files_are_exported_by_themselves_and_the_last_on_request(
    service: Running, auditor: str, log: Log, kept: Path, audit: Audit
) -> None:
    others = await total(audit)  # events of identities
    await story(log)
    whole = (others + 11) // 4 * 4
    found = await exported(service, auditor, whole)
    assert (found["exported"], found["failure"], found["place"]) == (whole, "", (kept / FOLDER).as_uri())
    assert [(f["first"], f["last"]) for f in found["items"]] == [(n, n + 3) for n in range(0, whole, 4)]
    await sealed(service, auditor, others + 11)
    answer = await service.call("POST", "/v1/history:export", auditor, json={"all": True})
    assert (answer.status_code, answer.json()["planned"]) == (202, others + 11)
    found = await exported(service, auditor, others + 11)
    key = (await service.get("/v1/log-checkpoints", auditor))["verifier_key"]
    assert verify(kept, [key]).events == others + 11


async def test_files_and_manifests_are_given_as_they_are(
    service: Running, auditor: str, log: Log, kept: Path
) -> None:
    await story(log)
    found = (await exported(service, auditor, 4))["items"][0]
    async with httpx.AsyncClient(
        base_url=service.url, headers={"authorization": f"Bearer {auditor}"}
    ) as client:
        for name in (found["file"], found["manifest"]):
            got = await client.get(f"/v1/history/{name}")
            assert (got.status_code, got.content) == (200, (kept / FOLDER / name).read_bytes())
        for name in ("nothing", f"{1:016d}-{3:016d}.parquet", "..%2Fsecret"):
            got = await client.get(f"/v1/history/{name}")
            assert got.status_code == 404, name


async def test_a_file_that_is_gone_is_answered_as_gone_and_not_as_pending(
    service: Running, auditor: str, log: Log, kept: Path
) -> None:
    await story(log)
    found = (await exported(service, auditor, 4))["items"][0]
    (kept / FOLDER / found["file"]).unlink()
    got = await service.call("GET", f"/v1/history/{found['file']}", auditor)
    assert (got.status_code, got.json()["code"]) == (404, "history_file_gone")


async def test_lists_come_in_pages(service: Running, auditor: str, log: Log) -> None:
    await story(log)
    await exported(service, auditor, 8)
    first = await service.get("/v1/history", auditor, page_size=1)
    second = await service.get("/v1/history", auditor, page_size=1, page_token=first["next_page_token"])
    assert [first["items"][0]["first"], second["items"][0]["first"]] == [0, 4]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/history"), ("POST", "/v1/history:export"), ("GET", f"/v1/history/{0:016d}-{3:016d}.json")],
)
async def test_history_is_for_auditors_of_everything(
    service: Running, people: Any, method: str, path: str
) -> None:
    key = await people.person("paula", ("auditor", "fraud"), ("engineer", "*"))
    refused = await service.call(method, path, key, **({"json": {"all": True}} if method == "POST" else {}))
    assert refused.status_code == 403


async def test_without_a_store_audit_names_the_settings(
    stack: Any, database: Any, tmp_path: Path, audit_key: Any, people: Any, caplog: pytest.LogCaptureFixture
) -> None:
    key = await people.person("otto", ("auditor", "*"))
    caplog.set_level("INFO")
    async with running_here(stack, database, tmp_path, "audit", audit_key) as service:
        refused = await service.call("GET", "/v1/history", key)
    assert (refused.status_code, refused.json()["code"]) == (409, "history_not_kept")
    assert "REGISTA_HISTORY_S3_ENDPOINT" in refused.json()["detail"]
    assert "the log is not exported: neither REGISTA_HISTORY_S3_ENDPOINT nor" in caplog.text


def block(folder: Path, *, blocked: bool) -> None:
    """Put a file where the store needs its folder, or remove it again."""
    if not blocked:
        folder.unlink()
    else:
        folder.parent.mkdir(exist_ok=True)
        folder.write_text("in the way")


async def test_an_unreachable_store_is_reported_and_waited_for(
    service: Running, auditor: str, log: Log, kept: Path
) -> None:
    exports = kept / FOLDER.partition("/")[0]  # the copies of log checkpoints beside it stay reachable
    block(exports, blocked=True)
    await story(log)

    async def failing() -> Any:
        return (await service.get("/v1/history", auditor))["failure"]

    assert "cannot be used" in await service.until(failing)
    assert (await service.call("GET", "/v1/log-checkpoints", auditor)).status_code == 200
    got = await service.call("GET", f"/v1/history/{0:016d}-{3:016d}.json", auditor)
    assert (got.status_code, got.json()["code"]) == (503, "history_store_away")
    block(exports, blocked=False)
    await exported(service, auditor, 8)

    async def recovered() -> bool:
        return not await failing()

    await service.until(recovered)


async def test_a_replica_killed_while_it_exports_is_followed_by_another(
    stack: Any,
    start: Any,
    auditor: str,
    log: Log,
    audit_key: Any,
    kept: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On S3, which the stack gives the service: it goes before the folder."""
    prefix = uuid.uuid4().hex
    monkeypatch.setenv("REGISTA_HISTORY_S3_PREFIX", prefix)
    store = s3_store(stack, prefix)
    for _ in range(8):
        await story(log)
    first = start("audit", audit_key)
    await first.ready()

    async def one_file() -> bool:
        return len(store.names("")) > 1

    await first.until(one_file)
    first.kill()
    second = start("audit", audit_key)
    await second.ready()
    found = await exported(second, auditor, 88)
    assert found["place"] == store.uri
    key = (await second.get("/v1/log-checkpoints", auditor))["verifier_key"]
    verified = verify(copied(store, tmp_path / "copy"), [key])
    assert (verified.faults, verified.gaps) == ([], [])
    assert verified.events >= 88


async def test_the_command_line_exports_copies_lists_and_verifies(
    regista: Any, service: Running, auditor: str, log: Log, tmp_path: Path, audit: Audit
) -> None:
    others = await total(audit)
    await story(log)
    await sealed(service, auditor, others + 11)
    copy = tmp_path / "copy"
    report = json.loads((await regista("history", "export", "--all", "--to", str(copy), "--json")).stdout)
    assert (report["exported"], report["copied"]) == (others + 11, len(list(copy.glob("*.json"))))
    again = json.loads((await regista("history", "export", "--to", str(copy), "--json")).stdout)
    assert again["copied"] == 0
    files = json.loads((await regista("history", "list", "--json")).stdout)
    assert sorted(f["file"] for f in files) == sorted(p.name for p in copy.glob("*.parquet"))
    assert "exported" in (await regista("history", "list")).stdout
    key = (await service.get("/v1/log-checkpoints", auditor))["verifier_key"]
    proven = json.loads((await regista("history", "verify", str(copy), "--key", key, "--json")).stdout)
    assert (proven["holds"], proven["events"]) == (True, others + 11)
    (copy / files[1]["file"]).write_bytes(b"forged")
    refused = await regista("history", "verify", str(copy), "--key", key, code=1)
    assert "not the file of its manifest" in refused.stderr


@pytest.fixture
async def files(service: Running, auditor: str, log: Log, kept: Path, audit: Audit) -> list[str]:
    """The queries of docs/operating.md, ready to run on what is exported."""
    others = await total(audit)
    await story(log)
    await sealed(service, auditor, others + 11)
    await service.call("POST", "/v1/history:export", auditor, json={"all": True})
    assert len((await exported(service, auditor, others + 11))["items"]) > 2
    text = (ROOT / "docs" / "operating.md").read_text("utf-8")
    return [
        block.replace("history/v1/", f"{kept}/{FOLDER}/")
        for block in re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
        if "history/v1/" in block
    ]


async def test_the_queries_of_the_documentation_answer_what_the_log_and_audit_say(
    files: list[str], service: Running, auditor: str, log: Log, audit: Audit
) -> None:
    counted, serving, led_to, built = (duckdb.sql(query).fetchall() for query in files)
    logged = await audit.connection.fetch(
        "SELECT service, type, count(*) FROM log.events GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
    )
    assert [row[:3] for row in counted] == [tuple(row) for row in logged]

    assert [row[:4] for row in serving] == [
        ("fraud.churn", 1, 90.0, "champion"),
        ("fraud.churn", 2, 10.0, "challenger"),
    ]
    assert {row[5] for row in serving} == {"ann"}
    stored = await audit.connection.fetch("""
        SELECT content #>> '{data,entries}' AS entries, content ->> 'recorded_at' AS at
        FROM log.events, LATERAL (SELECT convert_from(bytes, 'UTF8')::json AS content) AS parsed
        WHERE type IN ('RolloutChanged', 'RolledBack')
            AND content #>> '{data,environment}' = 'production'
            AND (content ->> 'recorded_at')::timestamptz <= '2026-03-01 00:05:00+00'
        ORDER BY tx, seq DESC""")
    newest = max(stored, key=lambda row: datetime.fromisoformat(row["at"]))
    assert [(e["number"], float(e["percent"]), e["role"]) for e in json.loads(newest["entries"])] == [
        row[1:4] for row in serving
    ]

    caused = await audit.connection.fetch("""
        SELECT s.service, e.type, s.leaf_index
        FROM audit.sealed s JOIN log.events e USING (service, stream, revision)
        WHERE e.type IN ('GatesEvaluated', 'PromotionGranted') ORDER BY 3""")
    assert [row[2:] for row in led_to] == [tuple(row) for row in caused]
    assert {row[1] for row in led_to} == {"better"}

    assert [row[:5] for row in built] == [
        ("fraud.churn", 2, "production", "challenger", 10.0),
        ("fraud.churn", 2, "production", "champion", 100.0),
    ]
    (_, ended), (began, rolled_back) = (row[5:] for row in built)
    assert ended == began < rolled_back
