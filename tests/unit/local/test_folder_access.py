"""As root: the system user of PostgreSQL reaches its folder; other users do not."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from pathlib import Path

import pytest

from services.local.folder_access import allow_traversal
from services.local.folders import LocalError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as other users")
SERVER, STRANGER = 54_321, 54_322


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """A folder below a private one, outside REGISTA_HOME."""
    found = tmp_path / "private" / "inside"
    found.mkdir(parents=True)
    found.parent.chmod(0o700)
    return found


def enters(folder: Path, user: int) -> bool:
    return (
        subprocess.run(
            ["stat", str(folder)], user=user, group=user, extra_groups=[], capture_output=True, check=False
        ).returncode
        == 0
    )


def test_a_private_folder_outside_home_is_opened_for_that_user_alone(inside: Path) -> None:
    allow_traversal(inside, SERVER)
    allow_traversal(inside, SERVER)
    assert enters(inside, SERVER)
    assert not enters(inside, STRANGER)
    assert not inside.parent.stat().st_mode & stat.S_IRWXO


def test_a_folder_below_home_is_opened_by_its_mode(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTA_HOME", str(inside.parent))
    allow_traversal(inside, SERVER)
    assert stat.S_IMODE(inside.parent.stat().st_mode) == 0o701


def test_a_folder_that_cannot_be_opened_for_one_user_is_named_with_the_remedy(
    inside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_arguments: object) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", unsupported)
    with pytest.raises(LocalError, match=f"{inside.parent} is closed .*REGISTA_HOME"):
        allow_traversal(inside, SERVER)
    assert stat.S_IMODE(inside.parent.stat().st_mode) == 0o700
