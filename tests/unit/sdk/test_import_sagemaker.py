"""SageMaker as a source: what its packages state, and what is done about its faults."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from regista.errors import Forbidden, Invalid, NotConfigured, Unauthorized
from regista.importing.claims import data_of
from regista.importing.files import CopiedFile
from regista.importing.requests import SourceBroken
from regista.importing.sagemaker_claims import metrics_in
from regista.importing.sagemaker_source import SagemakerSource
from regista.importing.source import SourceModel, SourceVersion, Stated
from regista.publishing.contract import check_publication
from tests.import_pauses import PAUSES, QUICK
from tests.sagemaker.registry import ACCOUNT, REGION
from tests.sagemaker.server import BUCKET, ENVIRONMENT, Aws, aws_server

URI = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
BYTES = b"a model " * 200_000
IMAGE = "1.dkr.ecr.eu-central-1.amazonaws.com/xgboost:1"


@pytest.fixture(scope="module")
def server() -> Iterator[Aws]:
    with aws_server() as aws:
        yield aws


@pytest.fixture
def aws(server: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    server.heal()
    server.groups.clear()
    server.packages.clear()
    PAUSES.clear()
    return server


@pytest.fixture
async def source(aws: Aws) -> AsyncIterator[SagemakerSource]:
    found = SagemakerSource(REGION, endpoint=aws.url, waits=QUICK)
    yield found
    await found.aclose()


def group(aws: Aws, name: str = "fraud", **more: Any) -> None:
    aws.client("sagemaker").create_model_package_group(ModelPackageGroupName=name, **more)


def package(aws: Aws, uri: str = "", **more: Any) -> str:
    """Register a version of the group, and return its ARN."""
    container = {"Image": IMAGE, **({"ModelDataUrl": uri} if uri else {}), **more.pop("container", {})}
    specification = {"Containers": [container, *more.pop("others", ())]}
    created = aws.client("sagemaker").create_model_package(
        ModelPackageGroupName="fraud", InferenceSpecification=specification, **more
    )
    arn: str = created["ModelPackageArn"]
    return arn


async def first(source: SagemakerSource) -> tuple[SourceModel, SourceVersion]:
    (model,) = [model async for model in source.models()]
    model = await source.describe(model)
    return model, (await source.versions(model))[0]


async def read(source: SagemakerSource) -> Stated:
    return await source.read(*await first(source))


def checked(stated: Stated) -> dict[str, Any]:
    """The data of the version as a draft, after the check of everything that the registry wants."""
    key = {"system": "sagemaker", "uri": URI, "id": "fraud", "number": "1"}
    data = data_of(stated, key, {}, None)
    check_publication({"model": "fraud", "draft": True, **data}, creator_known=True)
    return data


async def copy(stated: Stated) -> bytes:
    (file,) = stated.files
    assert stated.reader is not None
    return b"".join([piece async for piece in CopiedFile(stated.reader, file, QUICK, None)()])


async def test_all_groups_and_versions_are_listed_in_order(aws: Aws, source: SagemakerSource) -> None:
    for number in range(8):
        group(aws, f"g{number}")
    group(aws)
    for _ in range(11):
        package(aws)
    models = [model async for model in source.models()]
    assert len(models) == 9
    assert source.uri == URI
    versions = await source.versions(models[-1])
    assert [version.number for version in versions] == [str(n) for n in range(1, 12)]


async def test_a_group_has_its_description_and_tags(aws: Aws, source: SagemakerSource) -> None:
    tags = [{"Key": f"ключ {n}", "Value": "wert ä"} for n in range(50)]
    group(aws, ModelPackageGroupDescription="cards ü", Tags=tags)
    package(aws)
    model, _ = await first(source)
    assert (model.description, model.tags["ключ 7"], len(model.tags)) == ("cards ü", "wert ä", 50)


async def test_what_a_package_states_is_a_claim(aws: Aws, source: SagemakerSource) -> None:
    group(aws)
    arn = package(
        aws,
        ModelPackageDescription="the old one",
        CustomerMetadataProperties={"team": "crm"},
        MetadataProperties={"CommitId": "abc", "Repository": "https://u:s3cr3t@git.example.com/x"},
        ModelLifeCycle={"Stage": "Production", "StageStatus": "Live"},
        container={"Environment": {"PASSWORD": "s3cr3t"}, "Framework": "XGBOOST", "FrameworkVersion": "1.7"},
    )
    aws.client("sagemaker").update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="looks good"
    )
    data = checked(await read(source))
    there = data["imported_from"]
    assert {name: there[name] for name in ("stage", "created_by", "description", "tags")} == {
        "stage": "Production",
        "created_by": "alice",
        "description": "the old one",
        "tags": {"team": "crm"},
    }
    details = there["details"]
    assert details["approval"] == {"status": "Approved", "description": "looks good"}
    assert details["containers"] == [
        {"image": IMAGE, "framework": "XGBOOST", "framework_version": "1.7", "variables": ["PASSWORD"]}
    ]
    assert data["training"] == {
        "code": {"revision": "abc", "repository": "https://git.example.com/x"},
        "framework": {"name": "xgboost", "version": "1.7"},
    }
    assert "s3cr3t" not in json.dumps(data)


async def test_an_approval_without_a_life_cycle_is_shown_as_the_stage_there(
    aws: Aws, source: SagemakerSource
) -> None:
    group(aws)
    package(aws, ModelApprovalStatus="Approved")
    assert checked(await read(source))["imported_from"]["stage"] == "Approved"


async def test_the_training_job_that_made_the_model_gives_its_facts(
    aws: Aws, source: SagemakerSource
) -> None:
    group(aws)
    uri = aws.object("jobs/churn-7/output/model.tar.gz", b"x")
    channel = {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/train"}}}
    for name, output in (("churn-7", f"s3://{BUCKET}/jobs"), ("churn-8", f"s3://{BUCKET}/others")):
        aws.client("sagemaker").create_training_job(
            TrainingJobName=name,
            HyperParameters={"eta": "0.1"},
            AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/train",
            InputDataConfig=[{"ChannelName": "train", **channel}],
            OutputDataConfig={"S3OutputPath": output},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )
    made = aws.client("sagemaker").describe_training_job(TrainingJobName="churn-7")
    assert made["ModelArtifacts"]["S3ModelArtifacts"] == uri
    package(aws, uri)
    stated = await read(source)
    assert stated.training["config"] == {"eta": "0.1"}
    assert stated.training["dataset"] == {"name": f"s3://{BUCKET}/train"}
    assert stated.training["trained_at"]
    aws.packages.clear()
    package(aws, aws.object("jobs/churn-8/output/model.tar.gz", b"x"))  # its output is elsewhere
    assert "config" not in (await read(source)).training


async def test_metrics_come_from_the_document_of_the_models_quality(
    aws: Aws, source: SagemakerSource
) -> None:
    group(aws)
    document = {
        "binary_classification_metrics": {
            "auc": {"value": 0.9, "standard_deviation": "NaN"},
            "f1": {"value": "NaN"},
            "confusion_matrix": {"0": {"0": 5}},
        }
    }
    uri = aws.object("metrics/quality.json", json.dumps(document).encode())
    quality = {"Statistics": {"ContentType": "application/json", "S3Uri": uri}}
    package(aws, ModelMetrics={"ModelQuality": quality})
    stated = await read(source)
    assert stated.training["metrics"] == [
        {"name": "auc", "value": 0.9, "dataset_digest": "", "dataset_name": ""}
    ]
    assert stated.claims["details"]["metrics_documents"] == {"ModelQuality.Statistics": uri}
    assert any("1 metrics are no numbers" in note for note in stated.notes)


def test_a_document_of_any_depth_gives_the_metrics_near_its_top() -> None:
    deep: dict[str, Any] = {"value": 1}
    for _ in range(50):
        deep = {"a": deep}
    found = dict(metrics_in({"regression_metrics": {"mse": {"value": 2}}, "deep": deep, "list": [1]}))
    assert found == {"mse": 2}


@pytest.mark.parametrize("body", [b"no json", b"[1]", b"\xff"])
async def test_a_metrics_document_that_cannot_be_read_is_noted(
    aws: Aws, source: SagemakerSource, body: bytes
) -> None:
    group(aws)
    uri = aws.object("metrics/odd.json", body)
    quality = {"Statistics": {"ContentType": "application/json", "S3Uri": uri}}
    package(aws, ModelMetrics={"ModelQuality": quality})
    stated = await read(source)
    assert ("metrics" in stated.training, [uri in note for note in stated.notes]) == (False, [True])


async def test_the_bytes_are_copied_and_compared_with_what_s3_states(
    aws: Aws, source: SagemakerSource
) -> None:
    group(aws)
    package(aws, aws.object("m/model.tar.gz", BYTES, ChecksumAlgorithm="SHA256"))
    stated = await read(source)
    assert [(file.path, file.size) for file in stated.files] == [("model.tar.gz", len(BYTES))]
    assert stated.files[0].digests == {
        "sha256": hashlib.sha256(BYTES).hexdigest(),
        "md5": hashlib.md5(BYTES, usedforsecurity=False).hexdigest(),
    }
    assert await copy(stated) == BYTES


async def test_bytes_with_another_digest_than_declared_are_refused(aws: Aws, source: SagemakerSource) -> None:
    group(aws)
    package(aws, aws.object("m/model.tar.gz", BYTES))
    stated = await read(source)
    stated.files[0].digests["sha256"] = "0" * 64  # type: ignore[index] - what S3 would state
    with pytest.raises(Invalid, match="file_mismatch"):
        await copy(stated)


async def test_an_object_that_was_replaced_is_not_taken_for_the_models(
    aws: Aws, source: SagemakerSource
) -> None:
    group(aws)
    uri = aws.object("m/model.tar.gz", BYTES)
    package(aws, uri, container={"ModelDataETag": "d41d8cd98f00b204e9800998ecf8427e"})
    assert "replaced after it was registered" in (await read(source)).no_bytes_because
    aws.packages.clear()
    package(aws, uri)
    stated = await read(source)
    aws.object("m/model.tar.gz", b"other")
    with pytest.raises(Invalid, match="file_changed"):
        await copy(stated)


async def test_a_body_that_breaks_off_arrives_whole(aws: Aws, source: SagemakerSource) -> None:
    group(aws)
    package(aws, aws.object("m/model.tar.gz", BYTES))
    stated = await read(source)
    aws.breaks["GET "] = 1
    assert await copy(stated) == BYTES
    assert len(PAUSES) == 1


async def test_a_folder_and_a_chain_of_containers_are_read(aws: Aws, source: SagemakerSource) -> None:
    group(aws)
    for name in ("a/model.bin", "a/code/inference.py"):
        aws.object(f"folder/{name}", b"x")
    folder = {"S3Uri": f"s3://{BUCKET}/folder/a", "S3DataType": "S3Prefix", "CompressionType": "None"}
    other = {"Image": IMAGE, "ModelDataUrl": aws.object("m/model.tar.gz", b"y")}
    package(aws, container={"ModelDataSource": {"S3DataSource": folder}}, others=[other])
    paths = [file.path for file in (await read(source)).files]
    assert paths == ["1/code/inference.py", "1/model.bin", "2/model.tar.gz"]


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("", "names no model in S3"),
        ("https://bucket.s3.amazonaws.com/x", "is not in S3"),
        ("s3://others/secret/model.tar.gz", "--artifacts-below s3://others"),
        (f"s3://{BUCKET}-evil/model.tar.gz", "--artifacts-below"),
        (f"s3://{BUCKET}/gone/model.tar.gz", "404"),
    ],
)
async def test_no_bucket_is_read_that_was_not_named(
    aws: Aws, source: SagemakerSource, uri: str, why: str
) -> None:
    group(aws)
    package(aws, uri)
    stated = await read(source)
    assert (list(stated.files), why in stated.no_bytes_because) == ([], True)
    checked(stated)


async def test_a_named_folder_is_read_and_not_its_neighbour(aws: Aws) -> None:
    aws.client("s3").create_bucket(
        Bucket="crm-models", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    group(aws)
    for key in ("a/model.tar.gz", "ab/model.tar.gz"):
        package(aws, aws.object(key, b"x", "crm-models"))
    source = SagemakerSource(REGION, endpoint=aws.url, below=["s3://crm-models/a"], waits=QUICK)
    (model,) = [model async for model in source.models()]
    found = [await source.read(model, version) for version in await source.versions(model)]
    await source.aclose()
    assert [bool(stated.files) for stated in found] == [True, False]


async def test_what_is_not_ready_and_what_a_mirror_made_is_skipped(aws: Aws, source: SagemakerSource) -> None:
    group(aws)
    aws.packages[package(aws)]["ModelPackageStatus"] = "InProgress"
    package(aws, CustomerMetadataProperties={"regista.version": "m1@1"})
    (model,) = [model async for model in source.models()]
    waiting, mirrored = await source.versions(model)
    assert waiting.skipped == "its status there is InProgress"
    assert (await source.read(model, mirrored)).skipped == "a mirror of a Regista made it"


async def test_throttling_is_waited_for_as_it_states(aws: Aws, source: SagemakerSource) -> None:
    group(aws)
    package(aws)
    aws.busy |= {"ListModelPackageGroups": 1, "DescribeModelPackage": 2}
    await read(source)
    assert PAUSES == [3, 3, 3]


async def test_a_service_that_stays_busy_ends_the_import(aws: Aws, source: SagemakerSource) -> None:
    aws.busy["ListModelPackageGroups"] = 99
    with pytest.raises(SourceBroken, match="does not answer in 3 attempts"):
        await first(source)


@pytest.mark.parametrize(
    ("code", "error", "advice"),
    [
        ("ExpiredTokenException", Unauthorized, "aws sso login"),
        ("UnrecognizedClientException", Unauthorized, "AWS_SESSION_TOKEN"),
        ("AccessDeniedException", Forbidden, "right to read"),
        ("ValidationException", Invalid, "--region"),
    ],
)
async def test_a_refusal_states_what_to_do(
    aws: Aws, source: SagemakerSource, code: str, error: type[Exception], advice: str
) -> None:
    aws.denied["ListModelPackageGroups"] = code
    with pytest.raises(error) as found:
        await first(source)
    assert advice in found.value.advice  # type: ignore[attr-defined] - every error has one
    assert PAUSES == []


async def test_a_token_that_expires_before_the_bytes_are_listed_makes_no_draft(
    aws: Aws, source: SagemakerSource
) -> None:
    group(aws)
    package(aws, aws.object("m/model.tar.gz", BYTES))
    model, version = await first(source)
    aws.denied[f"/{BUCKET}/m"] = "ExpiredToken"
    with pytest.raises(Unauthorized):
        await source.read(model, version)


async def test_an_address_where_no_one_answers_is_reported_soon() -> None:
    PAUSES.clear()
    source = SagemakerSource(REGION, endpoint="http://127.0.0.1:9", waits=QUICK)
    with pytest.raises((SourceBroken, Unauthorized)):
        await first(source)
    await source.aclose()


def test_without_a_region_it_is_stated_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(NotConfigured) as found:
        SagemakerSource("")
    assert "--region" in found.value.advice


@pytest.mark.parametrize("text", ["bucket", "https://bucket", "s3://", "s3://key@bucket/x"])
def test_what_is_no_location_in_s3_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is no location in S3"):
        SagemakerSource(REGION, below=[text])
