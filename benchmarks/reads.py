"""Measure reads of the registry under 32 connections: p50 and p99 of each, alone and beside lists.

`python -m benchmarks reads`. A model has 50 versions, of which a list shows all.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from benchmarks import load
from benchmarks.figures import Figure
from benchmarks.servers import Servers
from benchmarks.trained import trained

CONNECTIONS, SECONDS, WARM_UP = 32, 5.0, 1.0
MODELS, VERSIONS = 20, 50
TARGET = 4.0
"""Milliseconds at p99, the time of a resolve under the same load."""
READS = {
    "resolve an alias": "/v1/resolve/{model}@candidate",
    "get a version": "/v1/models/{model}/versions/{number}",
    "get a version by alias": "/v1/models/{model}/versions/@candidate",
    "get a model": "/v1/models/{model}",
    "get an alias": "/v1/models/{model}/aliases/candidate",
    "list aliases": "/v1/models/{model}/aliases",
    "list 50 versions": "/v1/models/{model}/versions",
    "list 20 models": "/v1/models",
}
BESIDE_LISTS = "get a version"


async def measure(servers: Servers) -> Sequence[Figure]:
    url = servers.instance.urls["registry"]
    with servers.running("registry"):
        await _fill(servers, url)
        found = {}
        for name in READS:
            await load.times(url, _requests(servers, name), CONNECTIONS, WARM_UP)
            found[name] = await load.times(url, _requests(servers, name), CONNECTIONS, SECONDS)
        beside, lists = await asyncio.gather(
            load.times(url, _requests(servers, BESIDE_LISTS), CONNECTIONS // 2, SECONDS),
            load.times(url, _requests(servers, "list 50 versions"), CONNECTIONS // 2, SECONDS),
        )
    figures = [_figure(name, times) for name, times in found.items()]
    name = f"{BESIDE_LISTS}, half of the connections; the others list versions ({lists.rate:,.0f}/s)"
    return [*figures, _figure(name, beside)]


def _figure(name: str, times: load.Times) -> Figure:
    return Figure(
        f"{name} over HTTP, {CONNECTIONS} connections, p99",
        times.p99,
        "ms",
        TARGET,
        smaller_is_better=True,
        note=f"p50 {times.p50:.2f} ms, {times.rate:,.0f} answers/s",
    )


def _requests(servers: Servers, name: str) -> list[bytes]:
    url = servers.instance.urls["registry"] + READS[name]
    return [
        load.request("GET", url.format(model=_model(n % MODELS), number=n // MODELS + 1), servers.admin_key)
        for n in range(MODELS * VERSIONS)
    ]


def _model(number: int) -> str:
    return f"bench.read-{number}"


async def _fill(servers: Servers, url: str) -> None:
    requests = []
    for n in range(MODELS * VERSIONS):
        body = {k: v for k, v in trained(_model(n % MODELS), n // MODELS).items() if k != "model"}
        path = f"{url}/v1/models/{_model(n % MODELS)}/versions"
        requests.append(load.request("POST", path, servers.admin_key, json.dumps(body).encode()))
    if set(statuses := await load.send(url, requests, CONNECTIONS)) != {201}:
        raise AssertionError(f"not everything was registered: {statuses}")
    for n in range(MODELS):
        path = f"/v1/models/{_model(n)}/aliases/candidate"
        servers.call("PUT", "registry", path, {"number": VERSIONS})
