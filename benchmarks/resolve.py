"""Resolving an alias over HTTP: 32 connections, one process."""

from __future__ import annotations

import json
from collections.abc import Sequence

from benchmarks import bare, load
from benchmarks.figures import Figure
from benchmarks.servers import Servers
from benchmarks.trained import trained

CONNECTIONS, SECONDS, MODELS = 32, 8.0, 20


async def measure(servers: Servers) -> Sequence[Figure]:
    url = servers.instance.urls["registry"]
    with servers.running("registry"):
        for n in range(MODELS):
            body = trained(f"bench.alias-{n}", 0)
            servers.call(
                "POST",
                "registry",
                f"/v1/models/bench.alias-{n}/versions",
                {k: v for k, v in body.items() if k != "model"},
            )
            servers.call(
                "PUT",
                "registry",
                f"/v1/models/bench.alias-{n}/aliases/candidate",
                json.loads('{"number": 1}'),
            )
        requests = [
            load.request("GET", f"{url}/v1/resolve/bench.alias-{n}@candidate", servers.admin_key)
            for n in range(MODELS)
        ]
        await load.run(url, lambda n: requests[n % MODELS], CONNECTIONS, 2.0)
        rate, statuses = await load.run(url, lambda n: requests[n % MODELS], CONNECTIONS, SECONDS)
    if set(statuses) - {200}:
        raise AssertionError(f"not everything was resolved: {statuses}")
    with bare.server() as bare_url:
        limit, _ = await load.run(
            bare_url, lambda _n: load.request("GET", bare_url + "/", "none"), CONNECTIONS, 3.0
        )
    return [
        Figure(
            "resolve an alias over HTTP, 32 connections",
            rate,
            "answers/s",
            6_000,
            "the bare HTTP stack, empty answer",
            limit,
        )
    ]
