"""Measure the pages of the console on a large log: p50, p95 and p99 of each, warm, and its size.

The log is that of `benchmarks/questions.py`: half of the versions belong to one long model, the others to
models of ten. `REGISTA_BENCH_VERSIONS=200000 python -m benchmarks pages` fills it once and prints a line for
each page.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import asyncpg
import httpx

from benchmarks.copied_log import CopiedLog, model_id
from benchmarks.figures import Figure
from benchmarks.questions import LONG, SIZES, fill, sealed, seed
from benchmarks.servers import Servers
from benchmarks.trained import trained

SERVICES = ("registry", "approval", "artifact", "cleanup", "audit", "console")
WARM, REPEATED = 3, 40
MOST_MILLISECONDS, MOST_KILOBYTES = 100.0, 150.0
LINKED = re.compile(r'(?:src|href)="(/(?:static|packages)/[^"]+)"')
EXISTS = "SELECT EXISTS (SELECT FROM log.events WHERE stream = $1)"


@dataclass(frozen=True, slots=True)
class Measured:
    """One page: milliseconds until it was received, and its size in kilobytes."""

    name: str
    p50: float
    p95: float
    p99: float
    kilobytes: float

    def __str__(self) -> str:
        times = f"p50 {self.p50:6.1f}  p95 {self.p95:6.1f}  p99 {self.p99:6.1f} ms"
        return f"{times}  {self.kilobytes:6.1f} kB  {self.name}"


def addresses(versions: int) -> dict[str, str]:
    """Return the address of each page by its name."""
    model, number = f"/models/{LONG}", versions // 4
    data_set = trained(LONG, number)["training"]["dataset"]["digest"]
    return {
        "home": "/",
        "models": "/models",
        "models, searched": "/models?q=short-7",
        "versions": "/versions",
        "versions, by stage": "/versions?stage=Rejected",
        "versions, by a metric": f"/versions?metric={quote('auc>0.905')}",
        "versions, by a data set": f"/versions?dataset={quote(data_set)}",
        "model": model,
        "model, by stage": f"{model}?stage=Rejected",
        "model: metrics": f"{model}/metrics",
        "model: lineage": f"{model}/lineage",
        "model: timeline": f"{model}/timeline",
        "model: usage": f"{model}/usage",
        "model: rules": f"{model}/rules",
        "version": f"{model}/versions/{number}",
        "reviews": "/reviews",
        "rollouts": "/rollouts",
        "rollout": f"/rollouts/{LONG}/production",
        "data set": f"/data-sets?q={quote(data_set)}",
        "data set of many versions": "/data-sets?q=transactions",
        "history": "/history",
        "history: a timeline": f"/history?what=timeline&model={LONG}",
        "as of": "/history/as-of",
        "cleanup": "/cleanup",
        "policies": "/policies",
        "access": "/access",
        "operations": "/operations",
        "search": "/search?q=short-7",
        "search for a version": f"/search?q={quote(f'{LONG}@{number}')}",
    }


async def measure(servers: Servers) -> Sequence[Figure]:
    versions = SIZES[-1]
    owner = await asyncpg.connect(servers.stack.owner_url())
    if not await owner.fetchval(EXISTS, f"model-{model_id(LONG)}"):
        log = CopiedLog(owner)
        await log.read_seed(await seed(servers, owner))
        await fill(servers, log, versions)
    with servers.running(*SERVICES):
        await sealed(servers, owner)
        await owner.close()
        with _browser(servers) as browser:
            _sign_in(browser, servers.admin_key)
            first = _with_files(browser)
            found = [_measured(browser, name, path) for name, path in addresses(versions).items()]
    return _figures(found, first, versions)


def _browser(servers: Servers) -> httpx.Client:
    url = servers.instance.urls["console"]
    return httpx.Client(base_url=url, headers={"origin": url}, timeout=60)


def _sign_in(browser: httpx.Client, key: str) -> None:
    answer = browser.post("/sign-in", data={"key": key})
    if answer.status_code != 303:
        raise AssertionError(f"no sign-in: {answer.status_code} {answer.text[:500]}")


def _with_files(browser: httpx.Client) -> float:
    """Return the kilobytes that a browser reads for its first page: Home, its style sheet and scripts."""
    home = browser.get("/")
    files = [browser.get(path.replace("&amp;", "&")) for path in LINKED.findall(home.text)]
    return sum(len(answer.content) for answer in (home, *files)) / 1000


def _measured(browser: httpx.Client, name: str, path: str) -> Measured:
    taken: list[float] = []
    for turn in range(WARM + REPEATED):
        began = time.perf_counter()
        answer = browser.get(path)
        if turn >= WARM:
            taken.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            raise AssertionError(f"{name}: {answer.status_code} {answer.text[-2000:]}")
    taken.sort()
    p50, p95, p99 = (taken[int(len(taken) * part)] for part in (0.5, 0.95, 0.99))
    found = Measured(name, p50, p95, p99, len(answer.content) / 1000)
    print(f"  {found}", flush=True)
    return found


def _figures(found: Sequence[Measured], first: float, versions: int) -> list[Figure]:
    slowest = max(found, key=lambda one: one.p95)
    largest = max(found, key=lambda one: one.kilobytes)
    of = f"of {len(found)} pages at {versions:,} versions"
    times = f"{slowest.name}: p50 {slowest.p50:.0f} ms, p99 {slowest.p99:.0f} ms"
    return [
        Figure(
            f"slowest {of}, warm, p95",
            slowest.p95,
            "ms",
            MOST_MILLISECONDS,
            smaller_is_better=True,
            note=times,
        ),
        Figure(
            f"largest {of}",
            largest.kilobytes,
            "kB",
            MOST_KILOBYTES,
            smaller_is_better=True,
            note=largest.name,
        ),
        Figure(
            "first page of the console with style sheet and scripts",
            first,
            "kB",
            MOST_KILOBYTES,
            smaller_is_better=True,
        ),
    ]
