"""Import from a real MLflow server into a real Regista: whole, once, and without a gate skipped."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from regista.client.async_client import AsyncClient
from regista.errors import Forbidden
from regista.importing.copying import Copier
from regista.importing.mlflow import read_address
from regista.importing.mlflow_source import MlflowSource
from regista.importing.plan import Choices, Planner
from tests.faulty_proxy import Fault, FaultyProxy, faulty_proxy
from tests.import_pauses import PAUSES, QUICK

from .commands import adopts, moves_in
from .conftest import House, until
from .mlflow_imports import between, copied, copy, imports, into, plan
from .mlflow_server import MLMODEL, Mlflow, mlflow_server, model_bytes

pytestmark = pytest.mark.timeout(900)  # the first run installs MLflow


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture
def proxy(mlflow: Mlflow) -> Iterator[FaultyProxy]:
    PAUSES.clear()
    with faulty_proxy(mlflow.url) as found:
        yield found


def test_a_model_is_planned_then_imported_whole_and_only_once(house: House, mlflow: Mlflow) -> None:
    name = mlflow.model("Whole (new)", "what leaves", {"team": "crm"})
    tags = {f"ключ {n}": f"wert {n} ä 🔑" for n in range(300)}
    first = mlflow.trained(name, 1, tags=tags, description="ü" * 3_000)
    second = mlflow.trained(name, 2)
    mlflow.alias(name, "champion", second)
    mlflow.stage(name, first, "Production")

    code, (planned,) = imports(house, mlflow.url, "--models", "Whole*", "--dry-run")
    shown = {key: planned[key] for key in ("model", "versions", "here", "new", "drafts", "problem")}
    assert (code, shown) == (
        0,
        {"model": "imported.Whole-new", "versions": 2, "here": 0, "new": 2, "drafts": 0, "problem": ""},
    )
    assert planned["bytes"] == 2 * (len(MLMODEL) + len(model_bytes(1)) + 1)
    assert (planned["stages"], planned["creators"]) == ({first: "Production"}, ["alice"])

    code, report = imports(house, mlflow.url, "--models", "Whole*")
    (model,) = report["models"]
    assert (code, model["imported"], model["drafts"], model["aliases"]) == (
        0,
        {"1": 1, "2": 2},
        [],
        {"champion": 2},
    )

    code, report = imports(house, mlflow.url, "--models", "Whole*")
    (model,) = report["models"]
    assert (code, model["imported"], model["here_before"], report["bytes"]) == (0, {}, 2, 0)

    with house.client("eng") as client:
        version = client.version("imported.Whole-new@1")
        loaded = client.load("imported.Whole-new@2")
        assert (loaded.path / "model.bin").read_bytes() == model_bytes(2)
        assert client.model("imported.Whole-new")["description"] == "what leaves"
        assert len(client.versions("imported.Whole-new")) == 2
        events = client.timeline("imported.Whole-new")
    assert (version["semver"], version["stage"] in {"Staging", "Validated"}) == ("1.0.0", True)
    there = version["imported_from"]
    assert there is not None
    assert (there["id"], there["number"], there["stage"], there["created_by"]) == (
        "Whole (new)",
        "1",
        "Production",
        "alice",
    )
    assert there["tags"] == tags
    assert len(there["description"]) == 3_000
    assert (version["creator"], len(version["description"]), len(version["tags"])) == (
        "publisher:ci",
        2_000,
        100,
    )
    assert version["training"]["framework"] == {"name": "mystery", "version": "4.2"}
    assert not [
        event for event in events if event["type"].endswith(("VersionPromoted", "PromotionRequested"))
    ]


async def test_what_mlflow_lacks_makes_a_draft_that_states_it(house: House, mlflow: Mlflow) -> None:
    name = mlflow.model("lacking")
    without_commit = mlflow.trained(name, 1, {"tags": {}})
    query = {"name": name, "version": without_commit}
    runs = {without_commit: mlflow.get("model-versions/get", **query)["model_version"]["run_id"]}
    empty = mlflow.run(params={}, tags={}, metrics=[], dataset=None)
    without_facts = mlflow.version(name, mlflow.log(empty, {"model.bin": b"1"}), empty)
    gone = mlflow.run()
    without_bytes = mlflow.version(name, mlflow.log(gone, {}), gone)
    elsewhere = mlflow.version(name, "s3://bucket/model")
    (planned,) = await plan(house, mlflow.url, name)
    missing = {version.number: set(version.missing) for version in planned.versions}
    assert missing[without_commit] == {"training.code"}
    assert missing[without_facts] >= {"training.config", "training.metrics", "signature"}
    assert missing[without_bytes] >= {"artifact.digest"}
    assert planned.shown()["without_bytes"].keys() == {without_bytes, elsewhere}
    found = await copied(house, mlflow.url, name)
    assert (len(found.imported), found.drafts) == (
        4,
        [without_commit, without_facts, without_bytes, elsewhere],
    )
    mlflow.post("runs/set-tag", run_id=runs[without_commit], key="mlflow.source.git.commit", value="b" * 40)
    found = await copied(house, mlflow.url, name)
    assert (found.completed, found.drafts, found.here_before) == ({without_commit: 1}, [], 4)
    async with between(house, mlflow.url) as (client, _):
        complete = await client.version("imported.lacking@1")
        assert (complete["semver"], complete["training"]["code"]["revision"]) == ("1.0.0", "b" * 40)
        drafts = await client.versions("imported.lacking", stage="Draft")
        lost = (await client.version("imported.lacking@4"))["imported_from"]
    assert len(drafts) == 3
    assert lost["details"]["no_bytes_because"].startswith("s3://bucket/model")


async def test_a_logged_model_of_mlflow_3_is_imported_with_its_parameters(
    house: House, mlflow: Mlflow
) -> None:
    name, run = mlflow.model("logged"), mlflow.run(params={})
    files = {"MLmodel": MLMODEL, "model.bin": b"3"}
    mlflow.logged(name, run, files, params=[{"key": "C", "value": "0.5"}])
    found = await copied(house, mlflow.url, name)
    assert (found.imported, found.drafts) == ({"1": 1}, [])
    async with between(house, mlflow.url) as (client, _):
        version = await client.version("imported.logged@1")
    assert version["training"]["config"] == {"C": "0.5"}
    assert [file["path"] for file in version["artifact"]["files"]] == ["MLmodel", "model.bin"]


async def test_bytes_that_can_be_read_later_complete_the_draft(
    house: House, mlflow: Mlflow, tmp_path: Path
) -> None:
    name = mlflow.model("later")
    run = mlflow.run()
    mlflow.version(name, f"mlflow-artifacts:/0/{run}/artifacts/model", run)
    assert (await copied(house, mlflow.url, name)).drafts == ["1"]
    mlflow.log(run, {"MLmodel": MLMODEL, "model.bin": b"late"})
    assert (await copied(house, mlflow.url, name)).completed == {"1": 1}
    async with between(house, mlflow.url) as (client, _):
        version = await client.version("imported.later@1")
    assert (version["semver"], version["imported_from"]["number"]) == ("1.0.0", "1")


async def test_a_draft_of_mlflows_own_client_is_completed_from_its_tracking_server(
    house: House, mlflow: Mlflow
) -> None:
    run = mlflow.run()
    api = f"{house.instance.urls['mlflow']}/api/2.0/mlflow"
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {house.people['ci'].api_key}"}) as client:
        for path, body in {
            "registered-models/create": {"name": "imported.plain"},
            "model-versions/create": {"name": "imported.plain", "source": f"runs:/{run}/model"},
        }.items():
            (await client.post(f"{api}/{path}", json=body)).raise_for_status()
    _, report = imports(house, mlflow.url, "--drafts", "--models", "plain")
    assert (report["models"][0]["completed"], report["models"][0]["drafts"]) == ({"1": 1}, ["1"])
    mlflow.log(run, {"MLmodel": MLMODEL, "model.bin": b"late"})
    code, report = imports(house, mlflow.url, "--drafts", "--models", "plain")
    assert (code, report["models"][0]["completed"], report["models"][0]["drafts"]) == (0, {"1": 1}, [])
    async with between(house, mlflow.url) as (regista, _):
        version = await regista.version("imported.plain@1")
    assert (version["semver"], version["training"]["config"]) == ("1.0.0", {"C": "0.1"})
    assert [one["path"] for one in version["artifact"]["files"]] == ["MLmodel", "model.bin"]


async def test_names_that_no_model_may_have_and_that_collide_are_stated(house: House, mlflow: Mlflow) -> None:
    for name in ("模型", "col lide", "col-lide"):
        mlflow.trained(mlflow.model(name))
    outcome = await copy(house, mlflow.url, "模型", "col*")
    assert outcome.exit_code == 3
    problems = {model.there: model.problem for model in outcome.models}
    assert "--rename" in problems["模型"]
    assert "'col-lide'" in problems["col lide"]
    found = await copied(house, mlflow.url, "col lide", renamed={"col lide": "imported.col.lide"})
    assert (found.model, found.imported) == ("imported.col.lide", {"1": 1})


async def test_a_model_that_was_made_here_is_not_touched(house: House, mlflow: Mlflow) -> None:
    mlflow.trained(mlflow.model("native"))
    async with between(house, mlflow.url) as (client, _):
        await client.publish("imported.native", draft=True, training={"seed": 1}, via="http")
    outcome = await copy(house, mlflow.url, "native")
    assert (outcome.exit_code, outcome.models[0].imported) == (3, {})
    assert "was not imported from there" in outcome.models[0].problem
    renamed = {"native": "imported.native"}
    assert (await copied(house, mlflow.url, "native", renamed=renamed)).imported == {"1": 2}
    assert (await copied(house, mlflow.url, "native")).here_before == 1


async def test_after_a_source_was_unreachable_nothing_is_lost_and_the_rest_follows(
    house: House, mlflow: Mlflow, proxy: FaultyProxy
) -> None:
    name = mlflow.model("unreachable")
    for seed in range(4):
        mlflow.trained(name, seed)
    gone = Fault("GET", "model.bin", 0, left=100, passes=2)
    proxy.faults.append(gone)
    first = await copy(house, proxy.url, name)
    assert first.stopped is not None
    assert (first.stopped.code, first.exit_code, len(first.models[0].imported)) == (
        "source_unavailable",
        1,
        2,
    )
    proxy.faults.clear()
    second = await copied(house, proxy.url, name)
    assert (second.imported, second.here_before) == ({"3": 3, "4": 4}, 2)


async def test_a_busy_source_is_waited_for_as_it_states(
    house: House, mlflow: Mlflow, proxy: FaultyProxy
) -> None:
    mlflow.trained(mlflow.model("busy"))
    for part, times in {"runs/get": 2, "model.bin": 1, "registered-models": 1}.items():
        proxy.faults.append(Fault("GET", part, 429, left=times, headers={"Retry-After": "3"}))
    assert (await copied(house, proxy.url, "busy")).imported == {"1": 1}
    assert PAUSES == [3, 3, 3, 3]


async def test_a_file_that_breaks_off_arrives_whole(house: House, mlflow: Mlflow, proxy: FaultyProxy) -> None:
    name = mlflow.model("breaking")
    run = mlflow.run()
    content = model_bytes(7) * 700
    mlflow.version(name, mlflow.log(run, {"MLmodel": MLMODEL, "model.bin": content}), run)
    proxy.faults.append(Fault("GET", "model.bin", 0, left=2, half=True))
    assert (await copied(house, proxy.url, name)).imported == {"1": 1}
    async with between(house, mlflow.url) as (client, _):
        loaded = await client.load("imported.breaking@1")
    assert (loaded.path / "model.bin").read_bytes() == content


async def test_two_importers_at_the_same_time_make_each_version_once(house: House, mlflow: Mlflow) -> None:
    name = mlflow.model("both")
    for seed in range(3):
        mlflow.trained(name, seed)
    outcomes = await asyncio.gather(*(copied(house, mlflow.url, name) for _ in range(2)))
    assert all(not one.failed and not one.refused for one in outcomes)
    async with between(house, mlflow.url) as (client, _):
        versions = await client.versions("imported.both")
    assert sorted(line["imported_from"]["number"] for line in versions) == ["1", "2", "3"]


async def test_an_alias_that_is_set_here_is_not_moved(house: House, mlflow: Mlflow) -> None:
    name = mlflow.model("aliases")
    for seed in range(2):
        mlflow.trained(name, seed)
    for alias, version in (("mine", "1"), ("production", "1"), ("größe", "1")):
        mlflow.alias(name, alias, version)
    assert (await copied(house, mlflow.url, name)).aliases == {"mine": 1}
    mlflow.alias(name, "mine", "2")
    found = await copied(house, mlflow.url, name)
    assert found.aliases_not_set.keys() == {"mine", "production", "größe"}
    assert found.aliases_not_set["mine"] == "here it names version 1 already"


async def test_who_may_not_publish_there_learns_it_for_the_model(house: House, mlflow: Mlflow) -> None:
    mlflow.trained(mlflow.model("forbidden"))
    source = MlflowSource(read_address(mlflow.url, {}), waits=QUICK)
    async with AsyncClient(house.people["bob"]) as client:
        planned = await Planner(client, source, Choices("imported", ["forbidden"])).plan()
        outcome = await Copier(client, source).copy(planned)
    await source.aclose()
    assert (outcome.exit_code, outcome.models[0].imported) == (3, {})
    assert "publisher" in outcome.models[0].problem


def test_what_serves_there_is_adopted_by_a_persons_recorded_decision_only(
    house: House, mlflow: Mlflow
) -> None:
    serving = mlflow.trained(mlflow.model("adopted"), 1)
    mlflow.trained("adopted", 2)
    mlflow.stage("adopted", serving, "Production")
    assert imports(house, mlflow.url, "--models", "adopted")[0] == 0
    moves_in(house, "olga", "admin", "override")
    moves_in(house, "per", "engineer", "publisher", "override")

    of_model = ("mlflow", *into(mlflow.url), "--models", "adopted")
    code, adoption = adopts(house, "per", *of_model)
    assert adoption is not None
    assert (code, adoption["state"], "lacks admin" in adoption["why"]) == (3, "refused", True)
    with house.client("per") as client:
        assert client.serving(model="imported.adopted") == []
        client.wait_for("imported.adopted@1")
        asked = client.promote("imported.adopted@1", serve=True)["promotion_id"]
        there = {"system": "mlflow", "uri": mlflow.url, "id": "adopted", "number": "1"}
        claim: Any = there | {"stage": "Production", "read_at": "2026-11-30T12:00:00Z"}
        until(lambda: client.promotion(asked))
        with pytest.raises(Forbidden, match="'admin'"):
            client.override(asked, "we move today", adopts=claim)

    code, adoption = adopts(house, "olga", *of_model, "--dry-run")
    assert adoption is not None
    assert (code, adoption["state"], adoption["here"]) == (0, "planned", 1)
    code, adoption = adopts(house, "olga", *of_model)
    assert adoption is not None
    assert (code, adoption["state"], adoption["promotion_id"]) == (0, "adopted", asked)
    code, adoption = adopts(house, "olga", *of_model)
    assert adoption is not None
    assert (code, adoption["state"]) == (0, "serves")

    with house.client("eng") as client:
        assert client.rollout("imported.adopted")["champion"] == 1
        assert [one["state"] for one in client.reviews(state=None, model="imported.adopted")] == [
            "overridden"
        ]
        events = client.timeline("imported.adopted")
        (used,) = [one["data"] for one in events if one["type"] == "OverrideUsed"]
        assert (used["by"], there | {"stage": "Production"}) == (
            "person:olga",
            {name: used["adopts"][name] for name in (*there, "stage")},
        )
        found = {one["name"]: one["holds"] for one in client.invariants()["invariants"]}
        assert found["I9-production"]
