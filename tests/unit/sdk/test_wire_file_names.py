"""Which names of files are the same on Linux, Windows and macOS."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.errors import Invalid
from regista.files import checked_files_of
from regista.wire.digests import FileEntry, Manifest
from regista.wire.file_names import problem_of_name, problem_of_names

REFUSED = [
    "CON",
    "con",
    "aux.txt",
    "AUX.tar.gz",
    "nul",
    "dir/PRN",
    "com1",
    "LPT9.onnx",
    "COM¹",
    "Con .txt",
    "conin$",
    "a.",
    "a ",
    "dir./x",
    "dir /x",
    "...x.",
    "dir/c:x",
    "c:x",
    "a<b",
    "a>b",
    'a"b',
    "a|b",
    "what?",
    "a*",
    "a\\b",
    "a\nb",
    "a\x1bb",
    "a\x7fb",
    "a\x85b",
    "a\u202eb",
    "a\u200bb",
    "a\ufeff",
    "cafe\u0301",
    "",
    ".",
    "..",
    "/a",
    "a//b",
    "a/../b",
    "a\ud800",
]
ACCEPTED = [
    "model.onnx",
    "config/labels.json",
    ".gitattributes",
    "über/labels.json",
    "a b.txt",
    "console",
    "auxiliary.txt",
    "com10",
    "com",
    "nulls.csv",
    "x.con",
    "1_Pooling/config.json",
    "模型.bin",
    "a..b",
    " a",
]


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_some_file_system_changes_is_refused(name):
    assert problem_of_name(name)
    assert problem_of_names(["model.onnx", name])


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_name_that_every_file_system_keeps_is_accepted(name):
    assert problem_of_name(name) == ""
    assert problem_of_names(["x/y", name]) == ""


@pytest.mark.parametrize(
    "pair",
    [
        ("A", "a"),
        ("dir/A", "dir/a"),
        ("Dir/x", "dir/y"),
        ("a", "A/x"),
        ("a", "a/x"),
        ("É", "é"),
        ("K", "\u212a"),
        ("straße", "STRASSE"),
    ],
)
def test_two_names_that_are_one_where_case_is_ignored_are_refused(pair):
    assert problem_of_names(pair)
    assert problem_of_names(reversed(pair))


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_two_accepted_names_differ_in_every_form(one, other):
    if one == other or problem_of_names([one, other]):
        return
    for form in ("NFC", "NFD"):
        lowered = [unicodedata.normalize(form, name).lower() for name in (one, other)]
        assert lowered[0] != lowered[1]


def test_manifests_that_were_registered_before_stay_readable():
    entries = tuple(FileEntry(name, 1, "0" * 64) for name in ("A", "a", "aux.txt", "dir/c:x", "b."))
    assert Manifest(entries).digest.startswith("sha256:")


def test_the_client_refuses_names_before_it_sends_a_byte(tmp_path: Path):
    (tmp_path / "aux.txt").write_bytes(b"x")
    with pytest.raises(Invalid, match=r"aux\.txt"):
        checked_files_of(tmp_path)
    (tmp_path / "aux.txt").rename(tmp_path / "Model.onnx")
    (tmp_path / "model.onnx").write_bytes(b"y")
    with pytest.raises(Invalid, match="ignore case"):
        checked_files_of(tmp_path)
