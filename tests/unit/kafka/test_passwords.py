"""Passwords of Kafka users, in files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.kafka.connection import ClusterError
from services.kafka.passwords import password_of


def test_a_password_is_generated_once_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    first = password_of(folder, "registry")
    assert len(first) >= 32
    assert password_of(folder, "registry") == first
    assert password_of(folder, "approval") != first
    assert (folder.stat().st_mode & 0o077, (folder / "registry").stat().st_mode & 0o177) == (0, 0)
    assert {file.name for file in folder.iterdir()} == {"registry", "approval"}


def test_a_password_that_was_given_is_used(tmp_path: Path) -> None:
    (tmp_path / "registry").write_text("given\n")
    assert password_of(tmp_path, "registry") == "given"


def test_two_that_generate_it_at_the_same_time_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: password_of(tmp_path, "registry"), range(40)))
    assert len(found) == 1


@pytest.mark.parametrize("user", ["../x", "a/b", "", ".hidden", "CN=x"])
def test_a_user_whose_name_is_no_file_gets_no_password(tmp_path: Path, user: str) -> None:
    with pytest.raises(ClusterError, match="--no-users"):
        password_of(tmp_path / "in", user)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "registry").write_text("\n")
    with pytest.raises(ClusterError, match="is empty"):
        password_of(tmp_path, "registry")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ClusterError, match="registry"):
        password_of(tmp_path / "file", "registry")
