"""HTTP registration of versions: 32 connections, one process, traces sampled as configured by default."""

from __future__ import annotations

import json
from collections.abc import Sequence

from benchmarks import bare, load
from benchmarks.figures import Figure
from benchmarks.servers import Servers
from benchmarks.trained import trained

CONNECTIONS, SECONDS, MODELS = 32, 8.0, 100


async def measure(servers: Servers) -> Sequence[Figure]:
    url = servers.instance.urls["registry"]
    salt = iter(range(10**9))

    def make(n: int) -> bytes:
        model, number = n % MODELS, next(salt)
        body = json.dumps(
            {k: v for k, v in trained(f"bench.http-{model}", number).items() if k != "model"}
        ).encode()
        return load.request("POST", f"{url}/v1/models/bench.http-{model}/versions", servers.admin_key, body)

    with servers.running("registry"):
        await load.run(url, make, CONNECTIONS, 2.0)
        rate, statuses = await load.run(url, make, CONNECTIONS, SECONDS)
    if set(statuses) - {201}:
        raise AssertionError(f"not everything was registered: {statuses}")
    with bare.server() as bare_url:
        limit, _ = await load.run(
            bare_url, lambda _n: load.request("POST", bare_url + "/", "none", b"{}"), CONNECTIONS, 3.0
        )
    return [
        Figure(
            "HTTP registration, 32 connections",
            rate,
            "versions/s",
            1_800,
            "the bare HTTP stack (uvicorn, Starlette), empty answer",
            limit,
        )
    ]
