"""What serves elsewhere, and whether it may be taken over: `--adopt-serving` against a server's answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from regista.client.async_client import AsyncClient
from regista.client.profile import Profile
from regista.importing.adopting import Adopter, Adoption, Choice
from regista.importing.azure_ml import Workspace
from regista.importing.azure_ml_source import AzureMlSource
from regista.importing.copying import ModelOutcome, Outcome
from regista.importing.mlflow import read_address
from regista.importing.mlflow_source import MlflowSource
from regista.importing.plan import PlannedModel
from regista.importing.sagemaker_source import SagemakerSource
from regista.importing.source import Serving, SourceModel, SourceVersion
from tests.sagemaker.registry import REGION
from tests.sagemaker.server import ENVIRONMENT

from .conftest import QUICK, Answers, problem
from .test_cli_import import API, VERSION, mlflow

CHURN = SourceModel("churn", aliases={"live": "1"})


def versions(*raw: dict[str, Any]) -> list[SourceVersion]:
    return [SourceVersion(str(n), raw=one) for n, one in enumerate(raw, 1)]


async def of_mlflow(*stages: str, alias: str = "") -> Serving | None:
    source = MlflowSource(read_address("http://127.0.0.1:9", {}), serving_alias=alias)
    found = source.serving(CHURN, versions(*({"current_stage": stage} for stage in stages)))
    await source.aclose()
    return found


async def test_in_mlflow_the_newest_version_in_production_serves() -> None:
    assert await of_mlflow("Production", "Production", "Staging") == Serving("2", "Production")
    assert await of_mlflow("Staging", "None") is None


async def test_in_mlflow_an_alias_serves_where_it_was_named() -> None:
    assert await of_mlflow("None", "Production", alias="live") == Serving("1", "alias live")
    assert await of_mlflow("Production", alias="other") is None


async def test_in_azure_ml_an_archived_version_does_not_serve() -> None:
    source = AzureMlSource(Workspace("s", "g", "w"), credential=object())
    stated = [{"stage": "Production"}, {"stage": "production", "isArchived": True}, {"stage": "Staging"}]
    assert source.serving(CHURN, versions(*({"properties": one} for one in stated))) == Serving(
        "1", "Production"
    )
    await source.aclose()


@pytest.fixture(scope="module")
def sagemaker() -> Iterator[SagemakerSource]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield SagemakerSource(REGION)


def package(approval: str = "", stage: str = "", status: str = "") -> dict[str, Any]:
    life_cycle = {"ModelLifeCycle": {"Stage": stage, "StageStatus": status}} if stage else {}
    return {"ModelApprovalStatus": approval, **life_cycle}


@pytest.mark.parametrize(
    ("packages", "serves"),
    [
        ([package("Approved"), package("Approved"), package("Rejected")], Serving("2", "Approved")),
        ([package("PendingManualApproval")], None),
        ([package("Approved", "Production", "Approved"), package("Approved")], Serving("1", "Production")),
        ([package("Approved", "Production", "PendingApproval")], None),
        ([package("Rejected", "Production", "Approved")], None),
        ([package("Approved", "Staging", "Approved")], None),
    ],
)
def test_in_sagemaker_the_stage_counts_and_without_stages_the_approval(
    sagemaker: SagemakerSource, packages: list[dict[str, Any]], serves: Serving | None
) -> None:
    assert sagemaker.serving(CHURN, versions(*packages)) == serves


ADMIN = [{"role": role, "namespace": "crm", "group": ""} for role in ("admin", "override")]
THERE = {"system": "mlflow", "id": "churn", "number": "1"}
HERE = {"model": "crm.churn", "number": 1, "withdrawn": None, "retired": False, "reasons": [], "missing": []}


def adopts(run: Any, answers: Answers, *words: str, roles: Any = ADMIN, kind: str = "person") -> Any:
    """The plan of an adoption by this caller."""
    me = {"subject": "person:olga", "kind": kind, "roles": roles}
    answers.fixed["GET", "/v1/access/me"] = JSONResponse(me)
    reason = ["--adopt-serving", "--reason", "we move"]
    done = run(
        "import", "mlflow", "--from", answers.url, "--to", "crm", "--dry-run", "--json", *reason, *words
    )
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)[0]["adoption"]


def here(answers: Answers, champion: int = 0, **version: Any) -> Answers:
    """Version 1 there is version 1 here; `champion` serves."""
    one = HERE | {"stage": "Validated", "model_id": "m"} | version
    line = one | {
        "imported_from": THERE | {"uri": answers.url},
        "artifact_digest": "sha256:a",
        "description": "x",
        "tags": None,
    }
    serving = [{"model": "crm.churn", "champion": champion}] if champion else []
    answers.fixed |= {
        ("GET", "/v1/models/crm.churn"): JSONResponse({"model": "crm.churn"}),
        ("GET", "/v1/models/crm.churn/versions"): JSONResponse({"items": [line], "next_page_token": ""}),
        ("GET", "/v1/models/crm.churn/versions/1"): JSONResponse(one, headers={"ETag": '"7"'}),
        ("GET", "/v1/serving"): JSONResponse({"items": serving, "next_page_token": ""}),
    }
    return answers


def test_the_plan_states_what_would_be_adopted(run: Any, answers: Answers) -> None:
    found = adopts(run, here(mlflow(answers)))
    assert {name: found[name] for name in ("there", "stage", "environment", "state", "here", "why")} == {
        "there": "1",
        "stage": "Production",
        "environment": "production",
        "state": "planned",
        "here": 1,
        "why": "",
    }
    assert {seen.method for seen in answers.seen} == {"GET"}


def test_what_serves_here_already_stays_as_it_is(run: Any, answers: Answers) -> None:
    assert adopts(run, here(mlflow(answers), champion=1))["state"] == "serves"


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"champion": 2}, "version 2 serves in production here"),
        ({"stage": "Draft", "missing": ["training.code"]}, "draft that lacks training.code"),
        ({"withdrawn": "poisoned"}, "withdrawn"),
        ({"stage": "Rejected", "reasons": ["wrong checksum"]}, "wrong checksum"),
        ({"retired": True, "stage": "Archived"}, "retired"),
    ],
    ids=str,
)
def test_it_is_refused_where_another_version_serves_or_it_cannot_serve(
    run: Any, answers: Answers, facts: dict[str, Any], why: str
) -> None:
    found = adopts(run, here(mlflow(answers), **facts))
    assert (found["state"], why in found["why"]) == ("refused", True), found


def test_a_version_that_becomes_a_draft_is_not_adopted(run: Any, answers: Answers) -> None:
    found = adopts(run, mlflow(answers))
    assert (found["state"], "training.config" in found["why"]) == ("refused", True)


@pytest.mark.parametrize(
    ("caller", "why"),
    [
        ({"kind": "publisher"}, "is no person"),
        ({"roles": ADMIN[:1]}, "lacks override"),
        ({"roles": ADMIN[1:]}, "lacks admin"),
        ({"roles": [one | {"namespace": "other"} for one in ADMIN]}, "lacks admin"),
    ],
    ids=["machine", "no override", "no admin", "other namespace"],
)
def test_only_a_person_with_both_roles_adopts(
    run: Any, answers: Answers, caller: dict[str, Any], why: str
) -> None:
    found = adopts(run, here(mlflow(answers)), **caller)
    assert (found["state"], why in found["why"]) == ("refused", True)


def test_nothing_is_adopted_where_nothing_serves_there(run: Any, answers: Answers) -> None:
    assert adopts(run, here(mlflow(answers, current_stage="Staging"))) is None


def granting(answers: Answers, *overridden: Response, states: dict[str, str]) -> PlannedModel:
    """A model of which version 1 is Validated here; `overridden` answers the override of promotion p1."""
    here(mlflow(answers), imported_from=THERE | {"uri": answers.url})
    version = "/v1/models/crm.churn/versions/1"
    answers.fixed |= {
        ("GET", "/v1/access/me"): JSONResponse({"subject": "person:olga", "kind": "person", "roles": ADMIN}),
        ("GET", "/v1/models/m/versions/1"): answers.fixed["GET", version],
        **{
            ("GET", f"/v1/promotions/{id_}"): JSONResponse({"state": state, "reasons": []})
            for id_, state in states.items()
        },
    }
    answers.given |= {
        ("POST", f"{version}:promote"): [JSONResponse({"promotion_id": id_}, 202) for id_ in states],
        ("POST", "/v1/promotions/p1:override"): list(overridden),
        ("GET", "/v1/serving"): [
            JSONResponse({"items": items, "next_page_token": ""})
            for items in ([], [{"model": "crm.churn", "champion": 1}])
        ],
    }
    return PlannedModel("crm.churn", CHURN, exists=True, numbers={"1": 1}, serves=Serving("1", "Production"))


async def adopted(profile: Profile, model: PlannedModel) -> Adoption:
    async with AsyncClient(profile, patience=QUICK) as client:
        adopter = Adopter(client, Choice("we move"))
        await adopter.adopt([model])
    return adopter.found["churn"]


async def test_what_the_gates_denied_is_requested_again_and_its_override_names_the_source(
    answers: Answers, profile: Profile
) -> None:
    refused = JSONResponse({"state": "refused", "override": True})
    found = await adopted(profile, granting(answers, refused, states={"p1": "refused", "p2": "promoted"}))
    assert (found.state, found.promotion_id, found.here) == ("adopted", "p2", 1)
    (sent,) = answers.of("POST", "/v1/promotions/p1:override")
    body = json.loads(sent.body)
    assert body["adopts"].pop("read_at").endswith("Z")
    assert body == {
        "reason": "adopts churn version 1 of mlflow, there Production: we move",
        "adopts": THERE | {"uri": answers.url, "stage": "Production"},
    }


async def test_what_its_gates_granted_already_needs_no_override(answers: Answers, profile: Profile) -> None:
    closed = problem(409, "promotion_closed")
    found = await adopted(profile, granting(answers, closed, states={"p1": "promoted"}))
    assert (found.state, "no override was needed" in found.why) == ("adopted", True)


async def test_an_adoption_that_the_services_refuse_states_why(answers: Answers, profile: Profile) -> None:
    found = await adopted(profile, granting(answers, problem(409, "own_work"), states={"p1": "open"}))
    assert (found.state, found.why) == ("refused", "it is own_work")


@pytest.mark.parametrize(
    ("words", "stated"),
    [
        (["--adopt-serving"], "needs --reason"),
        (["--reason", "we move"], "--adopt-serving, which is missing"),
        (["--adopt-serving", "--reason", "x" * 1_001], "1,000 characters"),
    ],
    ids=["no reason", "reason alone", "long reason"],
)
def test_an_adoption_has_a_reason(run: Any, answers: Answers, words: list[str], stated: str) -> None:
    done = run("import", "mlflow", "--from", mlflow(answers).url, *words)
    assert (done.exit_code, stated in " ".join(done.stderr.split())) == (2, True)


@pytest.mark.parametrize(("state", "code"), [("adopted", 0), ("serves", 0), ("refused", 3), ("failed", 1)])
def test_the_exit_code_states_what_became_of_it(state: Any, code: int) -> None:
    adoption = Adoption("1", "Production", "production", state)
    assert Outcome([ModelOutcome("churn", "crm.churn", adoption=adoption)]).exit_code == code


def test_the_words_of_the_source_are_those_of_its_list(run: Any, answers: Answers) -> None:
    answers = here(mlflow(answers))
    listed = {"model_versions": [VERSION | {"current_stage": "PRODUCTION"}]}
    answers.fixed["GET", f"{API}/model-versions/search"] = JSONResponse(listed)
    assert adopts(run, answers)["stage"] == "PRODUCTION"
