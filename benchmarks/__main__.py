"""`python -m benchmarks [name…]`: run the measurements, write docs/benchmarks.md when all ran."""

from __future__ import annotations

import asyncio
import importlib
import sys
import time

import uvloop

from benchmarks.figures import Figure, write
from benchmarks.servers import start_servers

MEASURES = (
    "memory",  # on an empty log: with the messages of the others to read, no service is idle
    "chain",  # before the others: its services would also read all that they send
    "command_path",
    "storage",
    "long_model",
    "registration",
    "resolve",
    "reads",
    "intake",
    "data_digest",
    "growth",
    "demo",
)


def main() -> None:
    chosen = sys.argv[1:] or MEASURES
    if unknown := set(chosen) - set(MEASURES):
        sys.exit(f"no measure called {', '.join(sorted(unknown))}: there are {', '.join(MEASURES)}")
    figures: list[Figure] = []
    began = time.perf_counter()
    with start_servers() as servers:
        for name in chosen:
            print(f"… {name}", flush=True)
            module = importlib.import_module(f"benchmarks.{name}")
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                found = runner.run(module.measure(servers))
            for figure in found:
                print(figure.row(), flush=True)
            figures += found
    if tuple(chosen) == MEASURES:
        write(figures, time.perf_counter() - began)


if __name__ == "__main__":
    main()
