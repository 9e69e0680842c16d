"""How a version is written in SageMaker's words: everything is legal there, checked by its service model."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.mirror.targets import open_target
from services.mirror.targets.base import Approval, File, Refused, Share, Wanted
from services.mirror.targets.sagemaker_fields import (
    approval_of,
    approval_text,
    description_of,
    fields_of,
    life_cycle,
    mark_of,
    name_there,
    properties_of,
    text,
)
from services.mirror.targets.texts import model_tags
from tests.sagemaker.shapes import MODEL, check

VERSION = Wanted("0198-m1", "fraud.cards", 3, "1.2.0", "Production", artifact_digest="sha256:" + "a" * 64)
APPROVAL = Approval("r1", ("Bob", "Eve"), "checked", datetime(2026, 11, 30, tzinfo=UTC), "production")
ANY = st.text(max_size=400)
SETTINGS = {"region": "eu-central-1", "bucket": "models", "inference_specification": {"Containers": [{}]}}


def legal(operation: str, **body: Any) -> None:
    check(MODEL.operation_model(operation).input_shape, body)


@pytest.mark.parametrize(
    ("model", "there"),
    [("fraud.cards", "fraud-cards"), ("a__b.c_", "a-b-c"), ("x" * 63, "x" * 63), ("_a", "a")],
)
def test_a_name_there_has_hyphens_for_what_is_illegal(model: str, there: str) -> None:
    assert name_there("", model) == there


def test_long_names_stay_apart() -> None:
    names = {name_there("eu-", f"{'n' * 80}{end}") for end in "ab"}
    assert (len(names), {len(name) for name in names}) == (2, {63})


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "Approved"),
        ({"stage": "Archived"}, "Approved"),
        ({"stage": "Validated"}, "PendingManualApproval"),
        ({"stage": "Staging"}, "PendingManualApproval"),
        ({"stage": "Rejected"}, "Rejected"),
        ({"withdrawn": True}, "Rejected"),
        ({"stage": "Archived", "retired": True}, "Rejected"),
    ],
)
def test_approved_is_what_serves_or_may_serve_again(change: dict[str, Any], status: str) -> None:
    assert approval_of(replace(VERSION, **change)) == status


def test_the_approval_names_who_in_which_review_and_comments_last() -> None:
    long = replace(APPROVAL, comment="because\n" * 500)
    found = approval_text(replace(VERSION, approvals=(long, replace(APPROVAL, review_id="r2"))))
    assert found.startswith(
        "production 2026-11-30T00:00Z review r1 by Bob, Eve; "
        "production 2026-11-30T00:00Z review r2 by Bob, Eve; r1: because because"
    )
    assert (len(found), found[-1], "\n" in found) == (1024, "…", False)


def test_why_a_version_may_not_be_used_replaces_its_approvals() -> None:
    ended = replace(VERSION, withdrawn=True, approvals=(APPROVAL,), reasons=("poisoned data",))
    assert approval_text(ended) == "withdrawn: poisoned data"


def test_the_life_cycle_has_stage_and_traffic() -> None:
    shares = (Share("production", True, 90, "champion"), Share("lab", False, 10, "challenger"))
    assert life_cycle(replace(VERSION, shares=shares)) == {
        "Stage": "Production",
        "StageStatus": "Serving",
        "StageDescription": "production 90 % champion, lab 10 % challenger",
    }


def test_of_a_long_description_as_much_is_there_as_fits_and_the_mark_at_its_end() -> None:
    version = replace(VERSION, description="ü🔑" * 1_000)
    shown = description_of(version)
    assert (len(shown.encode("utf-16-le")) // 2 <= 1024, shown.endswith(mark_of(version))) == (True, True)
    assert shown.startswith("ü🔑ü🔑")


def test_of_300_tags_as_many_are_there_as_fit_and_the_rest_is_counted() -> None:
    tags = {f"ключ {n:03}": "wert ä" for n in range(300)}
    found = properties_of(replace(VERSION, tags=tags))
    assert (len(found), found["ключ 000"]) == (50, "wert ä")
    own = sum(name.startswith("ключ") for name in found)
    assert found["regista.tags_left_out"] == str(300 - own)


def test_tags_that_would_replace_ours_or_are_illegal_are_left_out() -> None:
    tags = {
        "regista.semver": "9.9.9",
        "aws:x": "y",
        "a?b": "c",
        "empty": "",
        "long": "v" * 257,
        "team": "crm",
    }
    found = properties_of(replace(VERSION, tags=tags))
    assert (found["team"], found["regista.semver"], found["regista.tags_left_out"]) == ("crm", "1.2.0", "5")


@given(
    texts=st.tuples(ANY, ANY, ANY, ANY),
    tags=st.dictionaries(ANY, ANY, max_size=60),
    stage=st.sampled_from(["Staging", "Validated", "Production", "Archived", "Rejected"]),
)
def test_whatever_people_wrote_is_legal_there(
    texts: tuple[str, str, str, str], tags: dict[str, str], stage: str
) -> None:
    one, two, three, four = texts
    approval = replace(APPROVAL, approvers=(one,), comment=two * 9)
    version = replace(
        VERSION,
        stage=stage,
        tags=tags,
        description=three * 9,
        approvals=(approval,),
        reasons=(four,),
        creator=one,
    )
    legal(
        "UpdateModelPackage",
        ModelPackageArn="arn:aws:sagemaker:eu-central-1:123456789012:model-package/a/1",
        ModelApprovalStatus=approval_of(version),
        ApprovalDescription=approval_text(version),
        ModelLifeCycle=life_cycle(version),
        CustomerMetadataProperties=properties_of(version),
    )
    legal("CreateModelPackage", ModelPackageDescription=description_of(version))
    legal(
        "CreateModelPackageGroup",
        ModelPackageGroupName="a",
        ModelPackageGroupDescription=text(two),
        Tags=[{"Key": key, "Value": value} for key, value in model_tags(version).items()],
    )
    assert description_of(version).endswith(mark_of(version))


def test_what_the_log_has_only_to_say_how_far_is_no_difference() -> None:
    assert fields_of(VERSION) == fields_of(replace(VERSION, position="model-m1#9"))


def test_files_are_shown_with_size_and_digest() -> None:
    files = (File("model.tar.gz", 7, "0" * 64),)
    assert fields_of(replace(VERSION, files=files))["model.tar.gz"] == f"7 bytes of {VERSION.artifact_digest}"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"region": "no region"}, "region"),
        ({"bucket": "s3://models"}, "bucket"),
        ({"inference_specification": {}}, "container"),
        (
            {"inference_specification": {"Containers": [{"ModelDataUrl": "s3://b/k"}]}},
            "location of the model",
        ),
        ({"secret": "s3cr3t"}, "secret"),
        ({"endpoint_url": "https://key:secret@host"}, "endpoint_url"),
        ({"profile": "no such profile"}, "profile"),
    ],
)
def test_wrong_settings_are_named_and_not_shown(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(Refused, match=named) as found:
        open_target("sagemaker", SETTINGS | wrong)
    assert "s3cr3t" not in str(found.value)
