"""A service whose HTTP server fails while it waits for the database."""

from __future__ import annotations

from services.registry.service import process
from shared.http.server import Server
from shared.run import main


class Broken(Server):
    async def run(self) -> None:
        raise ValueError("the first line\nand the second")


if __name__ == "__main__":
    from shared import run

    run.Server = Broken  # type: ignore[misc]
    main(process)
