"""SageMaker as a target: written once, found again, repaired, and what is done about faults."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from services.mirror.targets import open_target
from services.mirror.targets.aws_calls import PART
from services.mirror.targets.base import (
    File,
    Found,
    Refused,
    Target,
    Unavailable,
    Wanted,
    differences,
)
from tests import mirrored
from tests.mirrored import APPROVAL, CONTENT, DIGEST, Stored
from tests.sagemaker.registry import REGION
from tests.sagemaker.server import BUCKET, ENVIRONMENT, Aws, aws_server

IMAGE = "1.dkr.ecr.eu-central-1.amazonaws.com/xgboost:1"


def wanted(**more: Any) -> Wanted:
    return mirrored.wanted("fraud.cards", **({"model_id": "m1"} | more))


@pytest.fixture(scope="module")
def server() -> Iterator[Aws]:
    with aws_server() as aws, pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield aws


@pytest.fixture(scope="module")
def opened(server: Aws) -> Target:
    template = {"Containers": [{"Image": IMAGE}], "SupportedContentTypes": ["text/csv"]}
    settings = {"region": REGION, "bucket": BUCKET, "endpoint_url": server.url}
    return open_target("sagemaker", settings | {"inference_specification": template})


@pytest.fixture
def aws(server: Aws) -> Aws:
    server.heal()
    server.groups.clear()
    server.packages.clear()
    for one in server.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents") or ():
        server.client("s3").delete_object(Bucket=BUCKET, Key=one["Key"])
    return server


@pytest.fixture
def target(aws: Aws, opened: Target) -> Target:
    return opened


def only(aws: Aws) -> dict[str, Any]:
    (package,) = aws.packages.values()
    return package


def keys(aws: Aws) -> list[str]:
    listed = aws.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents") or ()
    return sorted(one["Key"].rpartition("/")[2] for one in listed)


def body(aws: Aws, uri: str) -> bytes:
    found: bytes = aws.client("s3").get_object(Bucket=BUCKET, Key=uri.split("/", 3)[3])["Body"].read()
    return found


async def test_a_version_is_written_whole_and_differs_in_nothing(aws: Aws, target: Target) -> None:
    version = wanted(stage="Production", approvals=(APPROVAL,))
    assert await target.read(version) is None
    found = await target.write(version, Stored())
    assert differences(target.shown(version), found) == []
    assert differences(target.shown(version), await target.read(version)) == []
    package = only(aws)
    assert found.address == package["ModelPackageArn"]
    assert (package["ModelApprovalStatus"], package["ApprovalDescription"]) == (
        "Approved",
        "production 2026-11-30T00:00Z review r1 by Bob, Eve; r1: checked",
    )
    properties = package["CustomerMetadataProperties"]
    assert {name: properties[f"regista.{name}"] for name in ("semver", "artifact", "review", "position")} == {
        "semver": "1.0.0",
        "artifact": DIGEST,
        "review": "r1",
        "position": "model-m1/7",
    }
    (container,) = package["InferenceSpecification"]["Containers"]
    with tarfile.open(fileobj=io.BytesIO(body(aws, container["ModelDataUrl"])), mode="r:gz") as tar:
        assert {one.name: tar.extractfile(one).read() for one in tar} == CONTENT  # type: ignore[union-attr] - files
    statistics = package["ModelMetrics"]["ModelQuality"]["Statistics"]
    document = body(aws, statistics["S3Uri"])
    assert statistics["ContentDigest"] == f"sha256:{hashlib.sha256(document).hexdigest()}"
    assert json.loads(document)["regista_metrics"]["auc"]["value"] == 0.9


async def test_motos_registry_takes_it_too_and_loses_the_life_cycle(aws: Aws, target: Target) -> None:
    aws.without_registry = True
    version = wanted(stage="Production", approvals=(APPROVAL,))
    found = await target.write(version, Stored())
    assert {one.field.partition(".")[0] for one in differences(target.shown(version), found)} == {
        "ModelLifeCycle"
    }


async def test_nothing_shows_approval_before_the_bytes_and_the_approvers_are_there(
    aws: Aws, target: Target
) -> None:
    aws.lost["UpdateModelPackage"] = 0
    aws.denied["UpdateModelPackage"] = "ThrottlingException"
    with pytest.raises(Unavailable):
        await target.write(wanted(stage="Production"), Stored())
    assert (only(aws)["ModelApprovalStatus"], keys(aws)) == (
        "PendingManualApproval",
        ["metrics.json", "model.tar.gz"],
    )
    aws.heal()
    await target.write(wanted(stage="Production"), Stored())
    assert only(aws)["ModelApprovalStatus"] == "Approved"


@pytest.mark.parametrize("operation", ["CreateModelPackageGroup", "CreateModelPackage", "UpdateModelPackage"])
async def test_after_an_error_that_follows_success_there_is_one_package(
    aws: Aws, target: Target, operation: str
) -> None:
    aws.lost[operation] = 1
    files = Stored()
    with pytest.raises(Unavailable):
        await target.write(wanted(), files)
    await target.write(wanted(), files)
    assert (len(aws.packages), len(aws.groups)) == (1, 1)
    assert len(files.reads) == len(CONTENT)


async def test_a_change_is_written_without_copying_bytes_again(aws: Aws, target: Target) -> None:
    files = Stored()
    await target.write(wanted(aliases=("candidate",)), files)
    await target.write(wanted(stage="Production", approvals=(APPROVAL,)), files)
    package = only(aws)
    assert (package["ModelApprovalStatus"], package["ModelLifeCycle"]["Stage"]) == ("Approved", "Production")
    assert "regista.aliases" not in package["CustomerMetadataProperties"]
    assert len(files.reads) == len(CONTENT)


async def test_what_someone_approved_by_hand_is_a_difference_and_repaired(aws: Aws, target: Target) -> None:
    version = wanted()
    found = await target.write(version, Stored())
    client = aws.client("sagemaker")
    client.update_model_package(ModelPackageArn=found.address, ModelApprovalStatus="Approved")
    (drift,) = differences(target.shown(version), await target.read(version))
    assert (drift.field, drift.wanted, drift.found) == (
        "ModelApprovalStatus",
        "PendingManualApproval",
        "Approved",
    )
    await target.write(version, Stored())
    assert only(aws)["ModelApprovalStatus"] == "PendingManualApproval"


@pytest.mark.slow
async def test_a_replaced_or_deleted_archive_is_a_difference_and_repaired(aws: Aws, target: Target) -> None:
    version = wanted()
    await target.write(version, Stored())
    key = only(aws)["InferenceSpecification"]["Containers"][0]["ModelDataUrl"].split("/", 3)[3]
    for spoil in (
        lambda s3: s3.put_object(Bucket=BUCKET, Key=key, Body=b"other"),
        lambda s3: s3.delete_object(Bucket=BUCKET, Key=key),
    ):
        spoil(aws.client("s3"))
        differ = differences(target.shown(version), await target.read(version))
        assert [one.field for one in differ] == ["model.tar.gz"]
        await target.write(version, Stored())
        assert differences(target.shown(version), await target.read(version)) == []


async def test_a_version_is_found_whatever_its_number_there(aws: Aws, target: Target) -> None:
    await target.write(wanted(), Stored())
    arns = [
        aws.client("sagemaker").create_model_package(
            ModelPackageGroupName="fraud-cards", ModelPackageDescription=f"by hand {n}"
        )["ModelPackageArn"]
        for n in range(4)
    ]
    version = replace(wanted(), number=2, semver="1.1.0")
    found = await target.write(version, Stored())
    assert (found.address.endswith("/6"), found.address in arns) == (True, False)
    assert await target.read(version) == found
    assert len(aws.packages) == 6


@pytest.mark.parametrize("end", ["withdrawn", "retired"])
async def test_a_version_that_ended_stays_and_is_rejected(aws: Aws, target: Target, end: str) -> None:
    await target.write(wanted(stage="Production"), Stored())
    ended = wanted(stage="Production", reasons=("poisoned",), files=(), **{end: True})
    await target.write(ended, Stored())
    package = only(aws)
    assert (package["ModelApprovalStatus"], package["ApprovalDescription"]) == (
        "Rejected",
        f"{end}: poisoned",
    )
    assert package["ModelLifeCycle"]["StageStatus"] == end.title()


async def test_a_version_that_is_retired_while_it_is_copied_is_rejected_in_the_next_attempt(
    aws: Aws, target: Target
) -> None:
    aws.denied["UpdateModelPackage"] = "ThrottlingException"
    with pytest.raises(Unavailable):
        await target.write(wanted(stage="Production", approvals=(APPROVAL,)), Stored())
    aws.heal()
    await target.write(wanted(stage="Archived", retired=True, reasons=("old",), files=()), Stored())
    assert (only(aws)["ModelApprovalStatus"], only(aws)["ApprovalDescription"]) == (
        "Rejected",
        "retired: old",
    )


async def test_two_mirrors_at_once_make_one_package(aws: Aws, opened: Target) -> None:
    template = {"Containers": [{"Image": IMAGE}], "SupportedContentTypes": ["text/csv"]}
    settings = {"region": REGION, "bucket": BUCKET, "endpoint_url": aws.url}
    other = open_target("sagemaker", settings | {"inference_specification": template})
    ends = await asyncio.gather(
        *(one.write(wanted(), Stored()) for one in (opened, other)), return_exceptions=True
    )
    assert {type(end) for end in ends} <= {Found, Unavailable}, ends
    await opened.write(wanted(), Stored())
    assert differences(other.shown(wanted()), await other.read(wanted())) == []
    assert (len(aws.packages), len(aws.groups)) == (1, 1)
    await other.close()


async def test_two_models_with_one_name_there_do_not_share_a_group(aws: Aws, target: Target) -> None:
    await target.write(wanted(), Stored())
    with pytest.raises(Refused, match="'fraud-cards' that is not this mirror's"):
        await target.write(mirrored.wanted("fraud_cards", model_id="m2"), Stored())
    assert len(aws.packages) == 1


async def test_a_group_of_others_is_not_taken_over(aws: Aws, target: Target) -> None:
    aws.client("sagemaker").create_model_package_group(ModelPackageGroupName="fraud-cards")
    with pytest.raises(Refused, match="name_prefix"):
        await target.write(wanted(), Stored())
    assert aws.packages == {}


async def test_a_copy_that_breaks_leaves_nothing_and_begins_again(aws: Aws, target: Target) -> None:
    big = {"model.bin": b"0123456789abcdef" * (PART // 16) + b"rest"}
    files = tuple(File(p, len(b), hashlib.sha256(b).hexdigest()) for p, b in big.items())
    source, version = Stored(big), wanted(files=files)
    source.fails = True
    with pytest.raises(Unavailable):
        await target.write(version, source)
    uploads = aws.client("s3").list_multipart_uploads(Bucket=BUCKET).get("Uploads")
    assert (aws.packages, keys(aws), uploads) == ({}, [], None)
    source.fails = False
    found = await target.write(version, source)
    assert differences(target.shown(version), found) == []


async def test_a_version_without_files_is_no_package(aws: Aws, target: Target) -> None:
    with pytest.raises(Refused, match="needs files"):
        await target.write(wanted(files=()), Stored())
    assert aws.packages == {}


async def test_a_service_that_throttles_states_when_to_come_again(aws: Aws, target: Target) -> None:
    aws.busy["DescribeModelPackageGroup"] = 1
    with pytest.raises(Unavailable) as found:
        await target.read(wanted())
    assert found.value.retry_after == 3


@pytest.mark.parametrize(
    ("code", "error", "advice"),
    [
        ("ExpiredTokenException", Unavailable, "Renew the credentials"),
        ("AccessDeniedException", Unavailable, "rights of the mirror"),
        ("ResourceLimitExceeded", Refused, "ResourceLimitExceeded"),
    ],
)
async def test_a_refusal_states_what_to_do(
    aws: Aws, target: Target, code: str, error: type[Exception], advice: str
) -> None:
    aws.denied["CreateModelPackageGroup"] = code
    with pytest.raises(error, match=advice):
        await target.write(wanted(), Stored())


async def test_a_bucket_that_is_missing_is_named(aws: Aws) -> None:
    settings = {"region": REGION, "bucket": "absent-bucket", "endpoint_url": aws.url}
    other = open_target(
        "sagemaker", settings | {"inference_specification": {"Containers": [{"Image": IMAGE}]}}
    )
    with pytest.raises(Refused, match="absent-bucket does not exist"):
        await other.write(wanted(), Stored())
    await other.close()
