"""The object store is started again after its disk was full."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.local.folders import MEGABYTE
from services.local.full_disk import DiskWatch


@pytest.mark.parametrize(
    ("free", "again"),
    [
        ([500, 500], [False, False]),
        ([500, 10, 10, 500, 500], [False, False, False, True, False]),
        ([10, 50, 200, 10, 200], [False, False, True, False, True]),
        ([50, 500], [False, False]),
    ],
)
def test_it_is_noticed_once_that_a_full_disk_has_room_again(free: list[int], again: list[bool]) -> None:
    found = iter(free)
    watch = DiskWatch(Path("/"), lambda _: next(found) * MEGABYTE)
    assert [watch.has_room_again() for _ in free] == again
