"""Public events of a whole Regista: what happens to a model reaches the client and the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from regista.cli import root
from regista.client.sync_client import Client

from .conftest import House, until

pytestmark = pytest.mark.servers


def test_what_happened_to_a_model_comes_from_all_services_verified(
    house: House, churn: dict[str, Any]
) -> None:
    with house.client("eng") as client:

        def complete() -> list[Any]:
            found = list(client.events(since="2026-01-01", model="crm.churn", follow=False))
            return found if any(one.type == "RolloutChanged" for one in found) else []

        found = until(complete)
        stored = client.timeline("crm.churn", notes=False)
    assert {one.service for one in found} >= {"registry", "approval", "artifact"}
    assert {"VersionRegistered", "ReviewApproved", "ArtifactVerified", "VersionPromoted"} <= {
        one.type for one in found
    }
    assert {one.id for one in found} <= {one["event_id"] for one in stored}
    for stream in {one.stream for one in found}:
        revisions = [one.revision for one in found if one.stream == stream]
        assert revisions == sorted(set(revisions))


def test_a_reader_of_kafka_gets_the_same_events_by_the_same_cursors(
    house: House, churn: dict[str, Any]
) -> None:
    kafka = house.instance.stack.kafka
    profile = replace(
        house.people["eng"],
        kafka_bootstrap=kafka.bootstrap,
        kafka_user="reader",
        kafka_password=kafka.password("reader"),
        kafka_security="SASL_PLAINTEXT",
    )
    with Client(profile) as client:
        over_http = {one.id: one for one in client.events(since="2026-01-01", follow=False, via="http")}
        from_kafka = {one.id: one for one in client.events(since="2026-01-01", follow=False)}
    assert {id_: one.signed for id_, one in over_http.items()} == {
        id_: from_kafka[id_].signed for id_ in over_http
    }


def test_a_stream_shows_what_happens_now_and_a_bookmark_what_happened_meanwhile(
    house: House, churn: dict[str, Any], tmp_path: Path
) -> None:
    bookmark = tmp_path / "bookmark"
    with house.client("eng") as client:
        events = client.events(model="crm.churn", types="AliasSet", bookmark=bookmark, since="2026-01-01")
        client.set_alias("crm.churn", "first", 1)
        assert next(events).data["alias"] == "first"
        client.set_alias("crm.churn", "second", 1)
        assert next(events).data["alias"] == "second"
        events.close()
        client.set_alias("crm.churn", "third", 1)
        again = client.events(model="crm.churn", types="AliasSet", bookmark=bookmark)
        assert [next(again).data["alias"] for _ in range(2)] == ["second", "third"]
        again.close()


def test_the_command_line_prints_lines_of_json(house: House, churn: dict[str, Any]) -> None:
    profile = house.people["eng"]
    environment = {
        "REGISTA_URL": profile.url,
        "REGISTA_API_KEY": profile.api_key,
        "REGISTA_CONFIG": "/nowhere",
        "REGISTA_CACHE_DIR": profile.cache_dir,
    }
    words = ["events", "tail", "--model", "crm.churn", "--since", "2026-01-01", "--type", "VersionPromoted"]
    done = CliRunner().invoke(root, [*words, "--json"], env=environment)
    assert done.exit_code == 0, done.output
    (event,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert (event["type"], event["data"]["number"]) == ("regista.registry.VersionPromoted.v1", 1)
