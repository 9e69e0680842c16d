"""The client and the command line against all services, as people use them."""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiokafka import AIOKafkaConsumer
from onnx import TensorProto, helper

import regista
from regista.client import sync_client
from regista.client.sync_client import Client
from regista.errors import DeadLettered, Forbidden, NotFound, RegistaError, RuleBroken, Stale, Unauthorized
from regista.publishing.kafka import connection
from regista.publishing.publication import TOPIC
from regista.wire.keys import generate_signing_key
from tests.integration.sdk.conftest import House, _promote, trained, until

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]
README = Path(__file__).parents[3] / "sdk" / "README.md"


def test_a_promoted_version_is_loaded_with_the_bytes_that_were_published(
    house: House, churn: dict[str, Any]
) -> None:
    with house.client("eng") as eng:
        loaded = eng.load("crm.churn@production")
        assert (loaded.number, loaded.semver) == (1, "1.0.0")
        assert loaded.file("model.onnx").read_bytes() == b"onnx" * 100_000
        assert loaded.file("labels/names é.txt").read_text() == "stays\nleaves"
        assert eng.load("crm.churn@1.0.0").path == loaded.path
        assert eng.resolve("crm.churn")["number"] == eng.route("crm.churn", key="u1")["number"] == 1


def test_the_same_publication_again_is_the_same_version(house: House, churn: dict[str, Any]) -> None:
    with house.client("nightly") as nightly:
        run = trained()
        first = nightly.publish("crm.same", churn["folder"], run).wait(60)
        again = [
            nightly.publish("crm.same", churn["folder"], run, via=via).wait(60) for via in ("kafka", "http")
        ]
    assert (first.number, first.new) == (1, True)
    assert [(version.number, version.semver, version.new) for version in again] == [(1, "1.0.0", False)] * 2


def test_the_same_publication_again_is_found_with_the_api_key_of_another_subject(
    house: House, churn: dict[str, Any]
) -> None:
    profile = replace(house.people["nightly"], api_key=house.people["ci"].api_key)
    run = trained()
    with Client(profile) as signed_by_nightly:
        versions = [
            signed_by_nightly.publish("crm.shared", churn["folder"], run, via="kafka").wait(60)
            for _ in range(2)
        ]
    assert [(version.number, version.new) for version in versions] == [(1, True), (1, False)]


def test_a_new_version_is_loaded_as_soon_as_its_bytes_are_verified(house: House, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"fresh")
    with house.client("nightly") as nightly:
        made = nightly.publish("crm.fresh", tmp_path / "model.onnx", trained(9)).wait(60)
        assert nightly.load(f"crm.fresh@{made.number}").file().read_bytes() == b"fresh"
        dataset = nightly.version("crm.fresh@1")["training"]["dataset"]
    assert [v["model"] for v in house.run("eng", "versions", "trained-on", dataset["digest"])].count(
        "crm.fresh"
    ) == 1


def test_a_refusal_names_everything_that_is_missing_on_kafka_and_over_http(house: House) -> None:
    incomplete = {"model": "crm.refused", "training": {"config": {}}}
    with house.client("nightly") as nightly:
        for via in ("kafka", "http"):
            with pytest.raises(regista.Refused) as refused:
                nightly.publish_document(incomplete, via=via).wait(60)
            named = {p.field for p in refused.value.problems}
            assert {
                "training.dataset.digest",
                "training.metrics",
                "training.code",
                "signature",
                "artifact.digest",
            } <= named
    assert len(house.run("eng", "versions", "refused", "crm.refused")) == 2


def test_with_nothing_but_an_api_key_the_owner_of_the_key_is_the_creator(
    house: House, churn: dict[str, Any]
) -> None:
    with Client(replace(house.people["nightly"], key_file="", kafka_bootstrap="")) as client:
        made = client.publish("crm.http", churn["folder"], trained(5)).wait()
    assert (made.semver, made.version["training"]["creator"]) == ("1.0.0", "publisher:nightly")


def test_a_draft_is_completed_and_gets_its_version(house: House, churn: dict[str, Any]) -> None:
    with house.client("nightly") as nightly:
        draft = nightly.publish("crm.draft", draft=True, via="http").wait()
        assert (draft.stage, draft.semver) == ("Draft", "")
        artifact = nightly.upload(churn["folder"])
        run = trained(7)
        training = run.training() | {"creator": "publisher:nightly"}
        done = nightly.complete(
            "crm.draft@1", {"artifact": artifact, "training": training, "schema": run.model_schema}
        )
    assert (done["semver"], done["stage"]) == ("1.0.0", "Staging")


def test_a_message_signed_by_a_stranger_is_found_among_the_dead_letters(house: House) -> None:
    letter_id, _ = _dead_letter(house, "crm.forged")
    shown = house.run("admin", "dlq", "show", letter_id)
    assert shown["headers"]["ce_subject"] == "crm.forged"
    assert any(letter["id"] == letter_id for letter in house.run("admin", "dlq", "list", "registry"))


def test_a_replayed_message_is_byte_for_byte_what_was_published(house: House) -> None:
    letter_id, message_id = _dead_letter(house, "crm.replayed")
    assert house.run("admin", "dlq", "replay", letter_id)[0]["topic"] == TOPIC
    published, replayed = asyncio.run(_records(house, message_id, 2))
    assert (replayed.key, replayed.value, replayed.headers) == (
        published.key,
        published.value,
        published.headers,
    )

    def refused_again() -> bool:
        """The registry refuses the message again: its dead letter is the same one, and open."""
        listed = house.run("admin", "dlq", "list", "registry")
        return any((one["id"], one["times"]) == (letter_id, 2) for one in listed)

    assert until(refused_again)


def _dead_letter(house: House, model: str) -> tuple[str, str]:
    """The ids of a dead letter and of its message: one that a stranger signed."""
    stranger = house.folder / "stranger.json"
    if not stranger.exists():
        generate_signing_key("publisher:nightly").save(stranger)
    with Client(replace(house.people["admin"], key_file=str(stranger), **_kafka(house))) as client:
        published = client.publish(model, draft=True)
        with pytest.raises(DeadLettered) as result:
            published.wait(20)
    return str(result.value.facts["dead_letter"]), published.id


async def _records(house: House, message_id: str, count: int) -> list[Any]:
    """The first `count` Kafka records of a message, as the registry reads them."""
    settings = connection(
        replace(
            house.people["admin"],
            **_kafka(house)
            | {"kafka_user": "registry", "kafka_password": house.instance.stack.kafka.password("registry")},
        )
    )
    found: list[Any] = []
    async with (
        asyncio.timeout(30),
        AIOKafkaConsumer(TOPIC, **settings, auto_offset_reset="earliest") as reader,
    ):
        while len(found) < count:
            record = await reader.getone()
            found += [record] if ("ce_id", message_id.encode()) in record.headers else []
    return found


def _kafka(house: House) -> dict[str, Any]:
    kafka = house.instance.stack.kafka
    return {
        "kafka_bootstrap": kafka.bootstrap,
        "kafka_user": "pipeline",
        "kafka_password": kafka.password("pipeline"),
        "kafka_security": "SASL_PLAINTEXT",
    }


def test_traffic_is_split_switched_and_rolled_back(house: House, churn: dict[str, Any]) -> None:
    with house.client("nightly") as nightly:
        second = nightly.publish("crm.churn", churn["folder"], trained(2, 0.95)).wait(60)
    assert (second.number, second.semver) == (2, "1.1.0")
    changes = house.run("eng", "diff", "crm.churn@1", "2")["changes"]
    assert {c["part"] for c in changes} >= {"data", "metrics"}
    _promote(house, "crm.churn@2", "bob", "eve")
    shown = house.run("eng", "rollout", "split", "crm.churn", "1=90", "2=10", "--reason", "try it")
    assert [(e["number"], e["percent"], e["role"]) for e in shown["entries"]] == [
        (1, 90, "champion"),
        (2, 10, "challenger"),
    ]
    assert house.run("eng", "rollout", "switch", "crm.churn@2", "--reason", "it is better")["champion"] == 2
    assert house.run("eng", "rollback", "crm.churn", "--reason", "latency")["champion"] == 1
    assert until(lambda: [e["number"] for e in house.run("eng", "as-of", "crm.churn")["entries"]] == [1])


def test_a_change_decided_on_another_revision_is_stale(house: House, churn: dict[str, Any]) -> None:
    with house.client("admin") as admin:
        model = admin.model("crm.churn")
        rollout = admin.rollout("crm.churn")
        kept = admin.retention("crm.churn")
        version = admin.version("crm.churn@1")
        changes: list[Callable[[], Any]] = [
            lambda: admin.edit_model("crm.churn", owner="team:late", expected=model["revision"] + 1000),
            lambda: admin.change_rollout(
                "crm.churn",
                [{"number": 1, "percent": 100, "role": "champion"}],
                expected=rollout["revision"] + 1000,
            ),
            lambda: admin.rollback("crm.churn", "slow", expected=rollout["revision"] + 1000),
            lambda: admin.set_retention("crm.churn", {"keep_newest": 5}, expected=kept["revision"] + 1000),
            lambda: admin.complete("crm.churn@1", {}, expected=version["revision"] + 1000),
        ]
        for change in changes:
            with pytest.raises(Stale) as late:
                change()
            assert late.value.facts["present"]["revision"] == late.value.facts["revision"]
        edited = admin.edit_model("crm.churn", owner="team:retention", expected=model["revision"])
        assert (edited["owner"], edited["revision"] > model["revision"]) == ("team:retention", True)


def test_use_is_reported_and_shown_by_cleanup(house: House, churn: dict[str, Any]) -> None:
    with house.client("nightly") as nightly:
        nightly.load("crm.churn@1").used(9)
    with house.client("eng") as eng:
        shown = until(lambda: eng.usage("crm.churn")["versions"])
    assert (shown[0]["number"], shown[0]["total"]) == (1, 10)


def test_every_other_command_is_understood_by_its_service(house: House, churn: dict[str, Any]) -> None:
    eng = house.run
    assert any(m["model"] == "crm.churn" for m in eng("eng", "models", "list", "--search", "churn"))
    assert (
        eng("eng", "models", "edit", "crm.churn", "--description", "who leaves")["description"]
        == "who leaves"
    )
    assert eng("nightly", "models", "create", "crm.empty", "--tag", "a=b")["model"] == "crm.empty"
    assert eng("eng", "models", "show", "crm.empty")["tags"] == {"a": "b"}
    assert eng("eng", "versions", "list", "crm.churn", "--stage", "Production")
    assert eng("eng", "versions", "show", "crm.churn@1.0.0")["number"] == 1
    assert eng("eng", "versions", "gates", "crm.churn@1")["gates"]
    assert eng("eng", "versions", "gates", "crm.churn@1", "--again")["number"] == 1
    assert eng(
        "nightly",
        "versions",
        "evaluate",
        "crm.churn@1",
        "auc=0.8",
        "--on",
        "march",
        "--digest",
        "sha256:" + "a" * 64,
    )["evaluations"]
    assert eng("eng", "alias", "set", "crm.churn", "candidate", "1")["number"] == 1
    assert [a["alias"] for a in eng("eng", "alias", "list", "crm.churn")] == ["candidate"]
    assert eng("eng", "versions", "show", "crm.churn@candidate")["number"] == 1
    eng("eng", "alias", "remove", "crm.churn", "candidate")
    assert eng("eng", "legal-hold", "place", "crm.churn@1", "--reason", "case 4711")["legal_hold"]
    assert not eng("admin", "legal-hold", "release", "crm.churn@1", "--reason", "closed")["legal_hold"]
    assert eng("eng", "cleanup", "plan")["dry_run"] is True
    sweep = eng("eng", "cleanup", "run", "crm.churn")["cleanup_run_id"]
    assert until(lambda: eng("eng", "cleanup", "show", sweep))["cleanup_run_id"] == sweep
    assert any(s["cleanup_run_id"] == sweep for s in eng("eng", "cleanup", "list"))
    retention = house.folder / "retention.json"
    retention.write_text('{"keep_newest": 2}')
    assert (
        eng("eng", "cleanup", "retention", "crm.churn", "--set", str(retention))["policy"]["keep_newest"] == 2
    )
    assert eng("eng", "cleanup", "retention", "crm.churn")["policy"]["keep_newest"] == 2
    assert {"VersionRegistered", "ReviewApproved", "VersionPromoted"} <= {
        e["type"] for e in eng("eng", "timeline", "crm.churn")
    }
    assert eng("eng", "policy", "list")
    policy = house.folder / "policy.json"
    policy.write_text(
        json.dumps(
            {
                "stages": {
                    "Production": [{"kind": "manual", "params": {"approvers": 1, "roles": ["approver"]}}]
                },
                "active": False,
            }
        )
    )
    assert eng("admin", "policy", "publish", "trial", str(policy))["revision"] == 1
    assert eng("admin", "policy", "publish", "trial", str(policy))["revision"] >= 1
    assert eng("eng", "policy", "show", "trial")["active"] is False
    assert eng("eng", "reviews", "list", "--state", "all")
    assert eng("eng", "rollout", "show", "crm.churn")["entries"]
    assert eng("eng", "rollout", "route", "crm.churn", "--key", "u1")["number"] in {1, 2}
    assert "versions" in eng("eng", "cleanup", "usage", "crm.churn")


def test_the_readmes_python_has_the_documented_effect(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nightly = house.people["nightly"]
    settings = {
        "URL": nightly.url,
        "API_KEY": nightly.api_key,
        "KEY_FILE": nightly.key_file,
        "CACHE_DIR": str(tmp_path),
        "CONFIG": "/nowhere",
        "KAFKA_BOOTSTRAP": nightly.kafka_bootstrap,
        "KAFKA_USER": nightly.kafka_user,
        "KAFKA_PASSWORD": nightly.kafka_password,
        "KAFKA_SECURITY": nightly.kafka_security,
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"REGISTA_{name}", value)
    monkeypatch.chdir(tmp_path)
    Path("churn.onnx").write_bytes(doubler())
    text = README.read_text("utf-8").replace("crm.churn", "readme.churn").replace("churn@4", "churn@1")
    publish, refuse, load, asynchronous, typed, waiting, following, change = [
        block.partition("```")[0] for block in text.split("```python\n")[1:]
    ]
    x, y = np.eye(4), np.arange(4) % 2
    model = type("Model", (), {"predict": staticmethod(lambda data: np.zeros(len(data), dtype="int64"))})
    names: dict[str, Any] = {"X": x, "y": y, "X_test": x[:2], "y_test": y[:2], "auc": 0.9, "model": model}
    script = tmp_path / "train.py"
    script.write_text(publish + refuse)
    exec(compile(script.read_text(), str(script), "exec"), names)  # noqa: S102 - the README's own code
    assert names["version"].semver == "1.0.0"
    sync_client._close()
    monkeypatch.setenv("REGISTA_API_KEY", house.people["admin"].api_key)
    _promote(house, "readme.churn@1", "bob", "eve")
    exec(load, names)  # noqa: S102
    assert names["session"].run(None, {"x": np.ones((1, 2), dtype="float32")})[0].tolist() == [[2.0, 2.0]]
    asyncio.run(eval(compile(asynchronous, "README", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names))  # noqa: S307
    assert names["loaded"].number == 1
    for other in (typed, waiting, following):  # they need versions and people that tests of their own have
        compile(other, "README", "exec")
    exec(change, names)  # noqa: S102
    with house.client("admin") as admin:
        assert admin.model("readme.churn")["owner"] == "team:retention"
    sync_client._close()


def doubler() -> bytes:
    """An ONNX model that doubles its input."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "doubler", ports[:1], ports[1:])
    return bytes(
        helper.make_model(
            graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)]
        ).SerializeToString()
    )


def test_a_version_is_rejected_and_withdrawn_with_a_reason(house: House, churn: dict[str, Any]) -> None:
    with house.client("nightly") as nightly:
        for seed in (1, 2):
            nightly.publish("crm.bad", churn["folder"], trained(seed)).wait(60)
    assert house.run("eng", "reject", "crm.bad@1", "--reason", "wrong month")["stage"] == "Rejected"
    assert house.run("eng", "withdraw", "crm.bad@2", "--reason", "poisoned")["withdrawn"]


def test_keys_are_rotated_and_revoked(house: House) -> None:
    house.run("admin", "access", "identity", "create", "person:tmp", "--kind", "person")
    first = house.run("admin", "access", "key", "issue", "person:tmp")
    second = house.run("admin", "access", "key", "rotate", "person:tmp", first["key_id"])

    def subject(key: str) -> str:
        with Client(replace(house.people["admin"], api_key=key)) as client:
            return str(client.identity("person:tmp")["subject"])

    def refused(key: str) -> bool:
        try:
            subject(key)
        except Unauthorized:
            return True
        return False

    assert subject(second["api_key"]) == "person:tmp"
    assert until(lambda: refused(first["api_key"]))
    house.run("admin", "access", "key", "revoke", "person:tmp", second["key_id"], "--reason", "left")
    assert until(lambda: refused(second["api_key"]))
    house.run("admin", "access", "grant", "person:tmp", "engineer", "--namespace", "crm")
    house.run("admin", "access", "ungrant", "person:tmp", "engineer", "--namespace", "crm")
    assert house.run("admin", "access", "identity", "show", "person:tmp")["roles"] == []


def test_a_person_is_shown_by_name_until_it_is_erased_and_the_log_names_the_actor(house: House) -> None:
    subject = house.run("admin", "access", "identity", "create", "--kind", "person", "--name", "Ada Byron")[
        "subject"
    ]
    house.run("admin", "access", "set-name", subject, "Ada Lovelace")
    house.run("admin", "access", "grant", subject, "auditor", "--everywhere")
    house.people["ada"] = replace(
        house.people["admin"], api_key=house.run("admin", "access", "key", "issue", subject)["api_key"]
    )
    until(lambda: house.run("ada", "access", "identity", "show", subject)["name"] == "Ada Lovelace")
    with house.client("eng") as client:
        assert client.names([subject, "unknown"]) == {subject: "Ada Lovelace"}
        result = house.run("admin", "access", "erase-name", subject, "--reason", "asked for it", "--yes")
        assert "signed" in result["kept"]
        assert client.names([subject]) == {subject: None}
        events = until(
            lambda: (
                (found := client.stored_events(f"access-{subject}"))
                and found[-1]["type"] == "NameErased"
                and found
            )
        )
    admin = house.run("admin", "access", "identity", "list")
    (listed,) = [one for one in admin if one["subject"] == subject]
    assert (listed["name"], listed["name_erased_at"]) == ("", result["name_erased_at"])
    (administrator,) = [one["subject"] for one in admin if one["name"] == "Administrator"]
    assert [event["type"] for event in events][:2] == ["IdentityCreated", "NameSet"]
    assert (events[-1]["actor"]["subject"], events[-1]["reason"]) == (administrator, "asked for it")
    assert "Ada" not in json.dumps(events)


@pytest.mark.parametrize(
    ("who", "call", "kind"),
    [
        ("bob", lambda c: c.promote("crm.churn@1"), Forbidden),
        ("eng", lambda c: c.model("crm.nothing"), NotFound),
        ("eng", lambda c: c.load("crm.churn@99"), NotFound),
        ("eng", lambda c: c.promote("crm.bad@1"), RuleBroken),
        ("eng", lambda c: c.create_model("not a name!"), RegistaError),
    ],
)
def test_each_refusal_is_a_typed_error_with_advice(
    house: House, churn: dict[str, Any], who: str, call: Callable[[Client], Any], kind: type
) -> None:
    with house.client(who) as client, pytest.raises(kind) as raised:
        call(client)
    assert raised.value.code
    assert raised.value.advice


def test_a_version_is_waited_for_through_staging_and_production_and_found_by_its_old_name(
    house: House, churn: dict[str, Any]
) -> None:
    house.run("admin", "environment", "create", "staging", "--no-production", "--order", "20")
    with house.client("nightly") as nightly:
        made = nightly.publish("crm.waited", churn["folder"], trained(31), tier="medium").wait(60)
        assert nightly.wait_for(f"crm.waited@{made.number}", "validated", 120)["stage"] == "Validated"
    promote = ("promote", "crm.waited@1", "--wait", "--timeout", "120")
    assert house.run("eng", *promote, "-e", "staging", "--serve")["state"] == "promoted"
    version = house.run("eng", "versions", "show", "crm.waited@staging")
    assert (version["stage"], version["number"]) == ("Validated", 1)
    house.run("eng", "models", "edit", "crm.waited", "--rename", "crm.awaited")
    (line,) = house.run("eng", "serving", "--model", "crm.waited")
    assert (line["model"], line["environment"], line["champion"]) == ("crm.awaited", "staging", 1)
    _promote(house, "crm.waited@1", "bob", "eve")
    assert (
        house.run("eng", "versions", "wait", "crm.waited@1", "--for", "production")["stage"] == "Production"
    )
    reviews = house.run("bob", "reviews", "list", "--state", "all", "--model", "crm.waited")
    assert {review["model"] for review in reviews} == {"crm.awaited"}
