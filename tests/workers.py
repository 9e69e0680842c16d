"""Which tests one worker runs together, where several run them (pytest-xdist).

With `--no-loadscope-reorder` groups start in the order of the folders: those on servers before the unit
tests, which fill what is left.
"""

from __future__ import annotations

from xdist.scheduler.loadscope import LoadScopeScheduling

WITHOUT_SERVERS = {"unit", "contract", "architecture"}


class InGroups(LoadScopeScheduling):
    """Give a worker a whole group: fixtures of a session or a module then work as in one process."""

    def _split_scope(self, nodeid: str) -> str:
        """Return the group of a test, as the subclasses in pytest-xdist do."""
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    """Return the group of a test: its file, or its folder where tests start servers that they share."""
    file = nodeid.partition("::")[0]
    _, *folders = file.split("/")[:-1]
    return file if folders[0] in WITHOUT_SERVERS else "/".join(folders)
