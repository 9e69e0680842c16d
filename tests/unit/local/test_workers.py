"""Tests that share servers or fixtures run in one worker."""

from __future__ import annotations

from tests.workers import group_of


def test_a_folder_whose_tests_share_servers_is_a_group() -> None:
    assert group_of("tests/integration/registry/test_a.py::test_b[c]") == "integration/registry"
    assert group_of("tests/integration/sdk/test_a.py::test_b") == "integration/sdk"
    assert group_of("tests/ui/test_pages.py::test_b[/models/a::b]") == "ui"


def test_a_file_without_servers_is_a_group() -> None:
    assert group_of("tests/unit/sdk/test_a.py::test_b") == "tests/unit/sdk/test_a.py"
    assert group_of("tests/architecture/test_words.py::test_b[docs]") == "tests/architecture/test_words.py"
