"""Which tests one worker runs together, where several run them (pytest-xdist).

With `--no-loadscope-reorder` groups start in the order of the folders: those on servers before the unit
tests, which fill what is left.
"""

from __future__ import annotations

from xdist.scheduler.loadscope import LoadScopeScheduling

SHARED_SERVERS = {"approval", "artifact", "audit", "cleanup", "edges", "kernel", "registry"}
"""Folders of tests/integration whose tests use the servers of the fixture `stack`."""


class InGroups(LoadScopeScheduling):
    """Give a worker a whole group: fixtures of a session or a module then work as in one process."""

    def _split_scope(self, nodeid: str) -> str:
        """Return the group of a test, as the subclasses in pytest-xdist do."""
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    """Return the group of a test: no two workers start the same servers.

    All tests on the shared servers are one. So is each folder that starts an instance of its own, and each
    file of tests without servers.
    """
    file = nodeid.partition("::")[0]
    _, *folders = file.split("/")[:-1]
    match folders:
        case ["unit" | "contract" | "architecture", *_]:
            return file
        case ["integration", service] if service in SHARED_SERVERS:
            return "the shared servers"
        case _:
            return "/".join(folders)
