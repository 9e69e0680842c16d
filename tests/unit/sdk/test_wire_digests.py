"""Digests and keys: two parties compute the same, and what has no canonical form is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.wire.digests import FileEntry, NoDigest, canonical, check_path, digest, manifest_digest
from regista.wire.keys import BadKey, generate_signing_key, load_signing_key, read_signing_key

SUM = "a" * 64


def test_canonical_form_is_that_of_rfc_8785() -> None:
    assert canonical({"b": 1.0, "a": [1e21, "é"]}) == '{"a":[1e+21,"é"],"b":1}'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, {"a": "\ud800"}])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(NoDigest):
        digest(value)


@given(st.permutations(["a", "b/c", "b-c", "z"]))
def test_the_digest_of_an_artifact_does_not_depend_on_the_order_of_its_files(paths: list[str]) -> None:
    assert manifest_digest([FileEntry(p, 1, SUM) for p in paths]) == manifest_digest(
        [FileEntry(p, 1, SUM) for p in sorted(paths)]
    )


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../up", "a/../b", "a//b", "a\\b", "C:/x", "a\x00b", "cafe\u0301", "x" * 2000, "."],
)
def test_a_path_that_leaves_the_artifact_is_refused(path: str) -> None:
    with pytest.raises(NoDigest):
        check_path(path)


def test_a_manifest_refuses_a_path_twice_a_bad_sum_and_no_file() -> None:
    for files in ([FileEntry("a", 1, SUM)] * 2, [FileEntry("a", 1, "A" * 64)], [FileEntry("a", -1, SUM)], []):
        with pytest.raises(NoDigest):
            manifest_digest(files)


def test_a_signing_key_is_written_once_for_its_owner_only_and_read_back(tmp_path: Path) -> None:
    key = generate_signing_key("publisher:bob")
    key.save(tmp_path / "key.json")
    assert (tmp_path / "key.json").stat().st_mode & 0o777 == 0o600
    read = load_signing_key(tmp_path / "key.json")
    assert (read.key_id, read.subject, read.public) == (key.key_id, "publisher:bob", key.public)
    with pytest.raises(FileExistsError):
        key.save(tmp_path / "key.json")


@given(st.binary(max_size=100) | st.text(max_size=100))
def test_a_file_that_is_no_key_is_refused(content: bytes | str) -> None:
    with pytest.raises(BadKey):
        read_signing_key(content)
