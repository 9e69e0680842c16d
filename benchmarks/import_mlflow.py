"""Measure `regista import mlflow` against a plain copy of the same bytes: `make bench-import`.

The source is MLflow's server (one worker) with its artifact proxy, the target the object store of the
artifact service. The copy reads each file there and stores it here, as many at a time as the import does, and
nothing else. The import reads all metadata, plans, uploads through the artifact service, and registers every
version; the services verify in the same time, on the same machine. `ARGS=50` imports 50 versions, not 200.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import uvloop

from benchmarks.chain import SERVICES
from benchmarks.mlflow_requests import API
from benchmarks.servers import Servers, start_servers
from benchmarks.side_by_side import MLFLOW, mlflow_server
from regista.client.async_client import AsyncClient
from regista.client.profile import Profile
from regista.importing.copying import Copier
from regista.importing.mlflow import read_address
from regista.importing.mlflow_files import PROXY
from regista.importing.mlflow_source import MlflowSource
from regista.importing.parallel import each
from regista.importing.plan import AT_ONCE, Choices, Planner
from services.artifact.settings import ArtifactSettings
from services.local.s3 import BUCKET

VERSIONS, MODELS, SIZE = 200, 10, 10_000_000
TARGET = 0.5
MLMODEL = b"flavors: {python_function: {python_version: 3.11.9, loader_module: m}}\nmlflow_version: 3.17.0\n"


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds: of copies before and after the import, of its plan, and of all of it."""

    before: float
    plan: float
    whole: float
    after: float


def main() -> None:
    versions = int(sys.argv[1]) if len(sys.argv) > 1 else VERSIONS
    if not MLFLOW.exists():
        raise SystemExit(f"{MLFLOW} does not exist: run `make bench-import`, which installs it")
    with (
        start_servers() as servers,
        servers.running(*SERVICES),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        times = runner.run(_measured(servers, versions))
    copy, megabytes = (times.before + times.after) / 2, versions * SIZE / 1e6
    ratio = copy / times.whole
    print(f"\n{versions} versions of {SIZE / 1e6:.0f} MB, {AT_ONCE} at a time\n")
    print("| | MB/s | seconds |\n|---|---|---|")
    print(f"| copy, before and after | {megabytes / copy:.0f} | {times.before:.1f}, {times.after:.1f} |")
    print(
        f"| import, with its plan ({times.plan:.1f} s) | {megabytes / times.whole:.0f} | {times.whole:.1f} |"
    )
    met = "met" if ratio >= TARGET else "missed"
    print(f"\nThe import has {ratio:.0%} of the copy's speed; the target of {TARGET:.0%} is {met}.")


async def _measured(servers: Servers, versions: int) -> Times:
    owner = await asyncpg.connect(servers.stack.owner_url())
    await owner.execute("CREATE DATABASE mlflow")
    await owner.close()
    database = servers.stack.owner_url("mlflow").replace("postgresql://", "postgresql+psycopg2://", 1)
    with mlflow_server(database, servers.instance.folder.directory, workers=1) as url:
        async with httpx.AsyncClient(base_url=url, timeout=300) as client:
            runs = await _filled(client, versions)
            before = await _copied(servers, client, runs)
            plan, whole = await _imported(servers, url, versions)
            return Times(before, plan, whole, await _copied(servers, client, runs))


async def _filled(client: httpx.AsyncClient, versions: int) -> list[str]:
    """Log a run with files of random bytes for each version, and register it. Return the runs."""
    runs: list[str] = []

    async def post(path: str, **body: object) -> dict[str, object]:
        answer = await client.post(f"{API}/{path}", json=body)
        answer.raise_for_status()
        found: dict[str, object] = answer.json()
        return found

    async def one(number: int) -> None:
        made = await post("runs/create", experiment_id="0", start_time=1_767_225_600_000)
        run = made["run"]["info"]["run_id"]  # type: ignore[index, call-overload] - MLflow's answer
        for name, content in {"MLmodel": MLMODEL, "model.bin": os.urandom(SIZE)}.items():
            (await client.put(f"{PROXY}/{_path(run, name)}", content=content)).raise_for_status()
        source = f"mlflow-artifacts:/0/{run}/artifacts/model"
        await post("model-versions/create", name=f"m{number % MODELS}", source=source, run_id=run)
        runs.append(run)

    for number in range(MODELS):
        await post("registered-models/create", name=f"m{number}")
    await each(range(versions), one, AT_ONCE)
    return runs


def _path(run: str, name: str) -> str:
    return f"0/{run}/artifacts/model/{name}"


async def _copied(servers: Servers, client: httpx.AsyncClient, runs: list[str]) -> float:
    """Read the files of all runs and put them into the object store. Return the seconds."""
    secret = Path(servers.stack.folder.secret_file("s3-artifact")).read_text().strip()
    settings = ArtifactSettings(
        s3_endpoint=servers.stack.s3.endpoint,
        s3_access_key="artifact",
        s3_secret_key=secret,
        s3_bucket=BUCKET,
    )
    store = settings.store()

    async def read(name: str) -> AsyncIterator[bytes]:
        async with client.stream("GET", f"{PROXY}/{name}") as answer:
            answer.raise_for_status()
            async for piece in answer.aiter_bytes():
                yield piece

    async def one(run: str) -> None:
        for name in ("MLmodel", "model.bin"):
            await store.put(f"quarantine/bench-{run}/{name}", read(_path(run, name)), {})

    began = time.perf_counter()
    await each(runs, one, AT_ONCE)
    took = time.perf_counter() - began
    await store.remove(
        [f"quarantine/bench-{run}/{name}" for run in runs for name in ("MLmodel", "model.bin")]
    )
    await store.close()
    return took


async def _imported(servers: Servers, url: str, versions: int) -> tuple[float, float]:
    """Plan and import all versions. Return the seconds of the plan, and of both."""
    cache = servers.instance.folder.directory / "cache"
    profile = Profile(
        url=servers.instance.urls["registry"], api_key=servers.admin_key, cache_dir=str(cache), usage_window=0
    )
    source = MlflowSource(read_address(url, {}))
    began = time.perf_counter()
    async with AsyncClient(profile) as client:
        planned = await Planner(client, source, Choices("bench")).plan()
        plan = time.perf_counter() - began
        outcome = await Copier(client, source).copy(planned)
    whole = time.perf_counter() - began
    await source.aclose()
    if outcome.stopped or sum(len(model.imported) for model in outcome.models) != versions:
        raise AssertionError(f"not imported: {outcome}"[:2_000])
    return plan, whole


if __name__ == "__main__":
    main()
