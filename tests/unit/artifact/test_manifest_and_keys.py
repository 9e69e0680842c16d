"""What is refused before a byte is read, and where bytes may lie."""

from __future__ import annotations

from hashlib import sha256

import pytest

from regista.wire.digests import FileEntry
from services.artifact.domain.manifest import Limits, claim, problem_of_form
from services.artifact.domain.object_keys import (
    BadLocation,
    claimed_prefix,
    generation_of,
    hex_of,
    upload_prefix,
    verified_prefix,
)

HEX = sha256(b"").hexdigest()
UPLOAD = "6f1f5a3e-0c67-4f0e-9a53-7a6f0c0f3b11"


def files(*paths, size=1):
    return [FileEntry(p, size, HEX) for p in paths]


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (files("a", "b", "c"), "3 files"),
        (files("a", size=11), "11 bytes"),
        (files("x" * 201), "too long"),
        (files("/".join(["dir"] * 160)), "too long"),
        (files("model", "model/weights"), "file and a folder"),
        (files("model", "model.onnx"), ""),
    ],
)
def test_the_form_of_a_manifest_is_judged_by_its_list_of_files(found, problem):
    reason = problem_of_form(found, Limits(files=2, bytes=10))
    assert (problem in reason) if problem else reason == ""


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a//b", "a/./b", "a\\b", "c:/x", "a\x00b", "", "a/", "e\u0301"]
)
def test_a_path_that_leaves_the_artifact_has_no_digest(path):
    claimed = claim("m", "m", 1, f"sha256:{HEX}", files(path), UPLOAD, Limits())
    assert claimed.found == ""
    assert claimed.problem


@pytest.mark.parametrize(
    "location",
    [
        "",
        "..",
        "verified/x",
        "../verified",
        UPLOAD + "/..",
        UPLOAD.upper(),
        "s3://other/quarantine/x",
        "s3://regista/verified/x/g1",
        "s3://regista/quarantine",
        "s3://regista/quarantine/../verified/x",
        "s3://regista//quarantine/x",
        "file:///etc",
    ],
)
def test_only_uploads_can_be_claimed(location):
    with pytest.raises(BadLocation):
        claimed_prefix(location, "s3://regista/")


def test_a_claim_names_an_upload_or_a_place_in_the_quarantine():
    assert claimed_prefix(UPLOAD, "s3://regista/") == f"quarantine/{UPLOAD}"
    assert claimed_prefix("s3://regista/quarantine/team/run7/", "s3://regista/") == "quarantine/team/run7"


def test_only_digests_of_64_lower_case_digits_name_an_artifact():
    assert hex_of(f"sha256:{HEX}") == HEX
    for wrong in (HEX, f"sha256:{HEX.upper()}", f"md5:{HEX}", f"sha256:{HEX}0", f"sha256:{HEX}\n"):
        with pytest.raises(BadLocation):
            hex_of(wrong)
    with pytest.raises(BadLocation):
        upload_prefix(UPLOAD + "\n")


def test_the_generation_can_be_read_from_a_key():
    assert generation_of(f"{verified_prefix(HEX, 12)}/config/model.onnx") == 12
    assert generation_of(f"quarantine/{UPLOAD}/g1/x") == 0
    assert generation_of(f"verified/{HEX}/gx/model") == 0
