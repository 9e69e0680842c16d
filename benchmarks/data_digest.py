"""Digests of data frames in memory, beside SHA-256 over bytes of the same size, on one core."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from benchmarks.figures import Figure
from benchmarks.servers import Servers
from regista.publishing.data_digest import data_digest

ROWS, COLUMNS, REPEATS = 2_000_000, 16, 3
TARGET = 500  # MB/s
OF_OBJECTS = 50  # MB/s


def frames() -> dict[str, tuple[Any, int, float]]:
    """Return frames with the bytes of their values, and the target."""
    random = np.random.default_rng(7)
    numbers = random.normal(size=(ROWS, COLUMNS))
    names = [f"x{i}" for i in range(COLUMNS)]
    gaps = pd.DataFrame(np.where(numbers > 1.5, np.nan, numbers), columns=names)
    words = [f"transaction number {i} of a day" for i in range(ROWS)]
    size = sum(map(len, words))
    return {
        "pandas, float64": (pd.DataFrame(numbers, columns=names), numbers.nbytes, TARGET),
        "pandas, float64 with missing values": (gaps, numbers.nbytes, TARGET),
        "polars, float64": (pl.DataFrame(numbers, schema=names), numbers.nbytes, TARGET),
        "NumPy, float32": (numbers.astype("float32"), numbers.nbytes // 2, TARGET),
        "polars, texts": (pl.DataFrame({"x": words}), size, TARGET),
        "pandas, texts": (pd.DataFrame({"x": pd.Series(words, dtype="str")}), size, TARGET),
        "pandas, texts as Python objects": (
            pd.DataFrame({"x": pd.Series(words, dtype=object)}),
            size,
            OF_OBJECTS,
        ),
    }


async def measure(servers: Servers) -> Sequence[Figure]:
    """Measure each frame; no server is needed."""
    del servers
    raw = np.random.default_rng(7).bytes(200_000_000)
    limit = len(raw) / 1e6 / fastest(lambda: sha256(raw).digest())
    return [
        Figure(
            f"digest of a frame: {name}",
            size / 1e6 / fastest(lambda data=data: data_digest(data)),
            "MB/s",
            target,
            "SHA-256 alone",
            limit,
        )
        for name, (data, size, target) in frames().items()
    ]


def fastest(work: Callable[[], object]) -> float:
    """Return the seconds of the fastest of some runs."""
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)
