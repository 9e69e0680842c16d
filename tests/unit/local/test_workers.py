"""Tests that share servers or fixtures run in one worker."""

from __future__ import annotations

import pytest

from tests.workers import group_of


@pytest.mark.parametrize(
    "folder", ["approval", "artifact", "audit", "cleanup", "edges", "kernel", "registry"]
)
def test_tests_on_the_shared_servers_are_one_group(folder: str) -> None:
    assert group_of(f"tests/integration/{folder}/test_a.py::test_b[c]") == "the shared servers"


def test_a_folder_with_an_instance_of_its_own_is_a_group() -> None:
    assert group_of("tests/integration/sdk/test_a.py::test_b") == "integration/sdk"
    assert group_of("tests/ui/test_pages.py::test_b[/models/a::b]") == "ui"


def test_a_file_without_servers_is_a_group() -> None:
    assert group_of("tests/unit/sdk/test_a.py::test_b") == "tests/unit/sdk/test_a.py"
    assert group_of("tests/architecture/test_words.py::test_b[docs]") == "tests/architecture/test_words.py"
