"""The JSON of versions as MLflow's clients see them, kept as long as nothing that it shows has changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from services.registry.labels.queries import columns_of
from shared.foundation.bounded_cache import BoundedCache
from shared.http.dispatch import encoded

CAPACITY = 32 * 1024 * 1024
"""Bytes of all documents."""
Row = Mapping[str, Any]
Read = Callable[[list[str], list[int]], Awaitable[Sequence[Row]]]
"""Reads the rows of VERSIONS_IN_STATE for these model ids and numbers."""
_State = tuple[int, int, int]


class Documents:
    """Documents of versions by (model id, number), each with the state in which the version was read.

    A document is used only for a version that a query has just found in the same state, so it shows what the
    database has now.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._kept: BoundedCache[tuple[str, int], tuple[_State, bytes]] = BoundedCache(capacity)

    async def of(self, page: Sequence[Row], read: Read) -> list[bytes]:
        """Return the documents of a page of versions. `read` is called for those that are not kept."""
        found: dict[tuple[str, int], bytes] = {}
        for row in page:
            key = (row["model_id"], row["number"])
            kept = self._kept.get(key)
            if kept is not None and kept[0] == _state(row):
                found[key] = kept[1]
        missing = [key for row in page if (key := (row["model_id"], row["number"])) not in found]
        for row in await read(*columns_of(missing)) if missing else ():
            found[row["model_id"], row["number"]] = self._keep(row)
        return [found[row["model_id"], row["number"]] for row in page]

    def _keep(self, row: Row) -> bytes:
        values = dict(row)
        state = tuple(values.pop(name) for name in ("revision", "shown_revision", "mode_revision"))
        document = encoded(values)
        self._kept.put((row["model_id"], row["number"]), (state, document), len(document))
        return document


def _state(row: Row) -> _State:
    return row["revision"], row["shown_revision"], row["mode_revision"]
