from __future__ import annotations

from typing import Any, cast

from shared.log.inbox import Handled, record


class Recorder:
    """Keeps what would be sent to the server."""

    def __init__(self) -> None:
        self.columns: tuple[Any, ...] = ()

    async def execute(self, _sql: str, *columns: Any) -> None:
        self.columns = columns


async def test_causes_are_written_in_key_order_so_that_no_two_batches_wait_for_each_other() -> None:
    recorder = Recorder()
    await record(
        cast("Any", recorder), "s", {key: Handled(b"", ()) for key in (("b", "1"), ("a", "2"), ("a", "1"))}
    )
    assert list(zip(*recorder.columns[:2], strict=True)) == [("a", "1"), ("a", "2"), ("b", "1")]
