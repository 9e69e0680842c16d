"""SageMaker beside a real Regista: import from it, and mirror to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regista.client.async_client import AsyncClient
from regista.importing.copying import Copier, Outcome
from regista.importing.plan import Choices, Planner
from regista.importing.sagemaker_source import SagemakerSource
from regista.wire import mirrored
from tests.import_pauses import QUICK
from tests.sagemaker.registry import REGION
from tests.sagemaker.server import BUCKET, ENVIRONMENT, Aws, aws_server

from .commands import adopts, moves_in
from .conftest import House, _promote, trained, until
from .mirrors import mirroring, mirrors

IMAGE = "1.dkr.ecr.eu-central-1.amazonaws.com/xgboost:1"


FACTS: Any = {
    "training": {
        "config": {"C": 1.0},
        "dataset": {"name": "people", "digest": "sha256:" + "d" * 64},
        "metrics": [
            {"name": "auc", "value": 0.9, "dataset_name": "holdout", "dataset_digest": "sha256:" + "e" * 64}
        ],
        "trained_at": "2026-01-31T12:00:00Z",
        "code": {"revision": "abc"},
    },
    "signature": {
        "inputs": [{"name": "age", "type": "double"}],
        "outputs": [{"name": "y", "type": "double"}],
    },
}
"""What a package of SageMaker does not state."""


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with aws_server() as found, pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield found


def versions(aws: Aws, group: str, count: int) -> None:
    """A group with versions, each with bytes of its own."""
    client = aws.client("sagemaker")
    client.create_model_package_group(
        ModelPackageGroupName=group,
        ModelPackageGroupDescription="who leaves",
        Tags=[{"Key": "team", "Value": "crm ü"}],
    )
    for number in range(1, count + 1):
        uri = aws.object(f"{group}/{number}/model.tar.gz", model_bytes(number))
        client.create_model_package(
            ModelPackageGroupName=group,
            ModelPackageDescription=f"the model number {number}",
            ModelApprovalStatus="Approved",
            CustomerMetadataProperties={"ключ": "wert"},
            InferenceSpecification={"Containers": [{"Image": IMAGE, "ModelDataUrl": uri}]},
        )


def model_bytes(number: int) -> bytes:
    return f"model {number} ".encode() * 50_000


def imports(house: House, aws: Aws, *words: str) -> tuple[int, Any]:
    """The command as the publisher: its exit code and its JSON."""
    code, found, errors = house.command("ci", "import", *into(aws), *words)
    assert found, errors
    return code, found


def into(aws: Aws) -> tuple[str, ...]:
    return "sagemaker", "--region", REGION, "--endpoint-url", aws.url, "--to", "aws"


async def copied(house: House, aws: Aws, model: str) -> Outcome:
    source = SagemakerSource(REGION, endpoint=aws.url, waits=QUICK)
    try:
        async with AsyncClient(house.people["ci"]) as client:
            planned = await Planner(client, source, Choices("aws", [model])).plan()
            return await Copier(client, source).copy(planned)
    finally:
        await source.aclose()


def test_a_group_is_planned_then_imported_whole_and_only_once(house: House, aws: Aws) -> None:
    versions(aws, "Whole-1", 2)
    code, (planned,) = imports(house, aws, "--models", "Whole*", "--dry-run")
    shown = {key: planned[key] for key in ("model", "versions", "new", "drafts", "stages", "creators")}
    assert (code, shown) == (
        0,
        {
            "model": "aws.Whole-1",
            "versions": 2,
            "new": 2,
            "drafts": 2,
            "stages": {"1": "Approved", "2": "Approved"},
            "creators": ["alice"],
        },
    )
    code, report = imports(house, aws, "--models", "Whole*", "--creator", "alice=person:bob")
    assert (code, report["models"][0]["imported"], report["models"][0]["drafts"]) == (
        0,
        {"1": 1, "2": 2},
        ["1", "2"],
    )
    code, report = imports(house, aws, "--models", "Whole*")
    assert (code, report["models"][0]["imported"], report["models"][0]["here_before"], report["bytes"]) == (
        0,
        {},
        2,
        0,
    )
    with house.client("eng") as client:
        version = client.version("aws.Whole-1@2")
        model = client.model("aws.Whole-1")
        events = client.timeline("aws.Whole-1")
    there = version["imported_from"]
    assert there is not None
    assert (there["system"], there["number"], there["stage"], there["details"]["approval"]["status"]) == (
        "sagemaker",
        "2",
        "Approved",
        "Approved",
    )
    assert (version["stage"], version["creator"], version["tags"], version["description"]) == (
        "Draft",
        "person:bob",
        {"ключ": "wert"},
        "the model number 2",
    )
    assert [file["size"] for file in version["artifact"]["files"]] == [len(model_bytes(2))]
    assert (model["description"], model["tags"]) == ("who leaves", {"team": "crm ü"})
    assert not [one for one in events if one["type"].endswith(("VersionPromoted", "PromotionRequested"))]


async def test_after_the_source_was_gone_nothing_is_lost_and_the_rest_follows(house: House, aws: Aws) -> None:
    versions(aws, "Broken", 4)
    aws.gone_after["GET "] = 2
    first = await copied(house, aws, "Broken")
    aws.heal()
    assert first.stopped is not None
    assert (first.stopped.code, first.exit_code, len(first.models[0].imported)) == (
        "source_unavailable",
        1,
        2,
    )
    second = await copied(house, aws, "Broken")
    assert (second.models[0].imported, second.models[0].here_before) == ({"3": 3, "4": 4}, 2)


async def test_an_expired_token_ends_with_what_to_do_and_keeps_what_is_here(house: House, aws: Aws) -> None:
    versions(aws, "Expired", 3)
    aws.denied[f"GET /{BUCKET}/Expired/2/"] = "ExpiredToken"
    found = await copied(house, aws, "Expired")
    aws.heal()
    assert found.stopped is not None
    assert (found.stopped.code, found.exit_code) == ("source_unauthorized", 5)
    assert "aws sso login" in found.stopped.advice
    assert "1" in found.models[0].imported


def test_what_is_approved_there_is_adopted_once_it_is_complete(house: House, aws: Aws) -> None:
    versions(aws, "Adopted", 2)
    of_group = (*into(aws), "--models", "Adopted")
    assert imports(house, aws, "--models", "Adopted")[0] == 0
    moves_in(house, "olga", "admin", "override")

    code, adoption = adopts(house, "olga", *of_group)
    assert adoption is not None
    assert (code, adoption["there"], adoption["state"]) == (3, "2", "refused")
    assert "is a draft that lacks training.config" in adoption["why"]

    with house.client("ci") as client:
        client.complete("aws.Adopted@2", FACTS)
    code, adoption = adopts(house, "olga", *of_group)
    assert adoption is not None
    assert (code, adoption["state"], adoption["here"]) == (0, "adopted", 2)
    with house.client("eng") as client:
        assert client.rollout("aws.Adopted")["champion"] == 2
        (used,) = [e["data"] for e in client.timeline("aws.Adopted") if e["type"] == "OverrideUsed"]
    stated = {name: used["adopts"][name] for name in ("system", "id", "number", "stage")}
    assert stated == {"system": "sagemaker", "id": "Adopted", "number": "2", "stage": "Approved"}
    assert used["adopts"]["uri"].startswith("arn:aws:sagemaker:")


TARGET = """
region = "{region}"
bucket = "{bucket}"
endpoint_url = "{url}"
[[inference_specification.Containers]]
Image = "{image}"
"""


@pytest.fixture(scope="module")
def mirror(house: House, aws: Aws) -> Iterator[None]:
    """A mirror whose target `prod` is SageMaker."""
    with mirroring(
        house, "prod", "sagemaker", TARGET.format(region=REGION, bucket=BUCKET, url=aws.url, image=IMAGE)
    ):
        yield


@pytest.mark.usefixtures("mirror")
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_promotion_appears_with_approvers_and_digest_and_a_drift_is_repaired(
    house: House, aws: Aws, tmp_path: Path
) -> None:
    (tmp_path / "model.bin").write_bytes(b"bytes" * 1000)
    with house.client("nightly") as client:
        client.publish("crm.seen", tmp_path / "model.bin", trained()).wait(60)
    _promote(house, "crm.seen@1", "bob", "eve")

    def there() -> dict[str, Any]:
        found = [one for one in aws.packages.values() if one["ModelPackageGroupName"] == "crm-seen"]
        return found[0] if found else {}

    until(lambda: there().get("ModelApprovalStatus") == "Approved")
    package = there()
    with house.client("eng") as client:
        ours = client.version("crm.seen@1")
    assert package["CustomerMetadataProperties"]["regista.artifact"] == ours["artifact_digest"]
    assert "by Bob, Eve" in package["ApprovalDescription"]
    assert package["ModelLifeCycle"]["Stage"] == "Production"

    def drift() -> dict[str, Any] | None:
        """Reject it by hand. An event of the promotion that arrives later corrects that before the check."""
        by_hand = {"ModelApprovalStatus": "Rejected", "ApprovalDescription": "by hand"}
        aws.client("sagemaker").update_model_package(ModelPackageArn=package["ModelPackageArn"], **by_hand)
        code, found = mirrors(house, "check", "prod")
        return found if code == 1 else None

    report = until(drift)
    assert "ModelApprovalStatus" in json.dumps(report)
    mirrors(house, "check", "prod", "--repair")
    until(lambda: there()["ModelApprovalStatus"] == "Approved")
    assert len(aws.groups["crm-seen"]["Tags"]) == 2
    with house.client("nightly") as client:
        client.publish("crm-seen", tmp_path / "model.bin", trained(2)).wait(60)

    def collides() -> bool:
        listed = mirrors(house, "status", "prod")[1]
        return any("are both 'crm-seen' at the target" in one["detail"] for one in listed)

    until(collides)
    (plan,) = imports(house, aws, "--models", "crm-seen", "--dry-run")[1]
    assert (plan["new"], plan["skipped"]) == (0, {"1": mirrored.SKIPPED})
