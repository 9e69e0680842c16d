"""Measure Regista and MLflow on the same PostgreSQL, with one raw HTTP client: `make bench-mlflow`.

Regista runs with all services. A version counts as created when all work that it causes is done: its bytes
are verified, its gates are evaluated, its events are published, sealed and indexed. MLflow stores a row.
The second table is of one kind of request, MLflow's own, sent to both: through the front and to MLflow.
`python -m benchmarks.side_by_side --requests` measures that table alone; `--versions N` sets how many there
are before.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import asyncpg
import httpx
import uvloop

from benchmarks import chain, load
from benchmarks.mlflow_requests import API, MlflowRequests
from benchmarks.servers import Servers, start_servers
from benchmarks.trained import trained as trained_model
from services.local.folders import REPOSITORY

CONNECTIONS, SECONDS, WARM_UP, VERSIONS = 32, 5.0, 300, 1_500
MODELS = chain.MODELS
PAGE = 50
MLFLOW = Path(os.environ.get("REGISTA_HOME", REPOSITORY / ".regista")) / "mlflow" / "bin" / "mlflow"

Rates = dict[str, float]
Request = Callable[[int], bytes]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.side_by_side", description=__doc__)
    parser.add_argument("--requests", action="store_true")
    parser.add_argument("--versions", type=int, default=VERSIONS)
    chosen = parser.parse_args()
    if not MLFLOW.exists():
        raise SystemExit(f"{MLFLOW} does not exist: run `make bench-mlflow`, which installs it")
    both, versions = not chosen.requests, chosen.versions
    with start_servers() as servers, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        regista, front = runner.run(_regista(servers, versions, both=both))
        mlflow, own = runner.run(_mlflow(servers, versions, both=both))
    print(f"\n{CONNECTIONS} connections, {MODELS} models, {versions:,} versions; answers a second")
    if both:
        _print("Regista", regista, mlflow)
    _print("Regista, by MLflow's requests", front, own)


def _print(title: str, regista: Rates, mlflow: Rates) -> None:
    print(f"\n| | {title} | MLflow | ratio |\n|---|---|---|---|")
    for name, rate in regista.items():
        print(f"| {name} | {rate:,.0f} | {mlflow[name]:,.0f} | {rate / mlflow[name]:.1f} |")


async def _regista(servers: Servers, versions: int, *, both: bool) -> tuple[Rates, Rates]:
    """Return the rates of Regista's own requests, if `both` are wanted, and of MLflow's."""
    async with chain.started(servers) as running:
        await running.cost(WARM_UP, "http")
        cost = await running.cost(versions, "http")
        url = servers.instance.urls["registry"]

        def request(method: str, path: str, body: object = None) -> bytes:
            return _request(url, method, f"/v1/{path}", servers.admin_key, body)

        def model(n: int) -> str:
            return f"models/bench.chain-{n % MODELS}"

        for n in range(MODELS):
            servers.call("PUT", "registry", f"/v1/{model(n)}/aliases/candidate", {"number": 1})
        own = {
            "create a version, until all work is done": cost.rate,
            "create a version, until answered": cost.answered,
        }
        made: dict[str, Request] = {
            "get a version": lambda n: request("GET", f"{model(n)}/versions/{_number(versions)}"),
            "resolve an alias": lambda n: request("GET", f"resolve/bench.chain-{n % MODELS}@candidate"),
            "list versions": lambda n: request("GET", f"{model(n)}/versions?page_size={PAGE}"),
            "set an alias": lambda n: request(
                "PUT", f"{model(n)}/aliases/candidate", {"number": _number(versions)}
            ),
        }
        rates = own | await _rates(url, made) if both else {}
        with servers.running("mlflow"):
            requests = MlflowRequests(servers.instance.urls["mlflow"], servers.admin_key, MODELS)
            return rates, await requests.rates(CONNECTIONS, SECONDS)


async def _mlflow(servers: Servers, versions: int, *, both: bool) -> tuple[Rates, Rates]:
    """Return the same of MLflow's server."""
    owner = await asyncpg.connect(servers.stack.owner_url())
    await owner.execute("CREATE DATABASE mlflow")
    await owner.close()
    database = servers.stack.owner_url("mlflow").replace("postgresql://", "postgresql+psycopg2://", 1)
    with mlflow_server(database, servers.instance.folder.directory) as url:

        def request(method: str, path: str, body: object = None) -> bytes:
            return _request(url, method, f"{API}/{path}", "", body)

        def query(path: str, **values: object) -> bytes:
            return request("GET", f"{path}?{urlencode(values)}")

        def name(n: int) -> str:
            return f"bench.chain-{n % MODELS}"

        models = [request("POST", "registered-models/create", {"name": name(n)}) for n in range(MODELS)]
        _checked(await load.send(url, models, CONNECTIONS))
        create = [
            request("POST", "model-versions/create", _version(name(n), n)) for n in range(WARM_UP + versions)
        ]
        _checked(await load.send(url, create[:WARM_UP], CONNECTIONS))
        began = time.perf_counter()
        _checked(await load.send(url, create[WARM_UP:], CONNECTIONS))
        created = versions / (time.perf_counter() - began)
        alias = "registered-models/alias"
        set_alias = [
            request("POST", alias, {"name": name(n), "alias": "candidate", "version": "1"})
            for n in range(MODELS)
        ]
        _checked(await load.send(url, set_alias, CONNECTIONS))
        own = {
            "create a version, until all work is done": created,
            "create a version, until answered": created,
        }
        made: dict[str, Request] = {
            "get a version": lambda n: query("model-versions/get", name=name(n), version=_number(versions)),
            "resolve an alias": lambda n: query(alias, name=name(n), alias="candidate"),
            "list versions": lambda n: query(
                "model-versions/search", filter=f"name='{name(n)}'", max_results=PAGE
            ),
            "set an alias": lambda n: request(
                "POST", alias, {"name": name(n), "alias": "candidate", "version": str(_number(versions))}
            ),
        }
        rates = own | await _rates(url, made) if both else {}
        return rates, await MlflowRequests(url, "", MODELS).rates(CONNECTIONS, SECONDS)


def _number(versions: int) -> int:
    """Return the number of a version that every model has."""
    return random.randint(1, (WARM_UP + versions) // MODELS)


def _version(name: str, number: int) -> dict[str, object]:
    """A version for MLflow, with the metadata that a version of Regista carries as tags."""
    trained = trained_model(name, number)
    tags = [
        {"key": key, "value": json.dumps(trained[part])[:5_000]}
        for key, part in (("training", "training"), ("signature", "signature"))
    ]
    return {"name": name, "source": f"s3://models/{name}/{number}", "tags": tags}


async def _rates(url: str, made: dict[str, Request]) -> Rates:
    return {name: await _rate(url, make) for name, make in made.items()}


async def _rate(url: str, make: Request) -> float:
    await load.run(url, make, CONNECTIONS, 1.0)
    rate, statuses = await load.run(url, make, CONNECTIONS, SECONDS)
    _checked(statuses)
    return rate


def _checked(statuses: dict[int, int]) -> None:
    if set(statuses) - {200, 201}:
        raise AssertionError(f"unexpected answers: {dict(statuses)}")


def _request(url: str, method: str, path: str, key: str, body: object) -> bytes:
    """Return the bytes of one request; `load.request` drops the query."""
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nhost: {urlsplit(url).netloc}\r\n"
    head += f"authorization: Bearer {key}\r\n" if key else ""
    head += f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    return head.encode() + content


@contextlib.contextmanager
def mlflow_server(database: str, directory: Path, workers: int = 0) -> Iterator[str]:
    """Start MLflow's server with these workers, 0 for its default number, and yield its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        str(MLFLOW),
        "server",
        "--backend-store-uri",
        database,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    command += ["--artifacts-destination", str(directory / "mlflow")]
    command += ["--uvicorn-opts", "--no-access-log"]
    command += ["--workers", str(workers)] if workers else []
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "DO_NOT_TRACK": "true"}
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
        environment.pop(name, None)
    with (directory / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, cwd=directory, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _await_server(url, process, directory / "mlflow.log")
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        process.wait(30)


def _await_server(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 180  # the first start makes the tables
    while time.monotonic() < until:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url + "/health", timeout=2).status_code == 200:
                return
        if process.poll() is not None:
            break
        time.sleep(0.2)
    raise RuntimeError(f"MLflow's server did not start:\n{log.read_text()[-2000:]}")


if __name__ == "__main__":
    main()
