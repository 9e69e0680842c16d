"""The pages of the console on a large log: p50, p95 and p99 of each, warm, and its size.

An administrator reads each page, and a reader of one small namespace those for which rights matter.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import httpx

from benchmarks.copied_log import ENVIRONMENT
from benchmarks.figures import Figure
from benchmarks.large_log import LONG, SMALL_NAMESPACE, short_name
from benchmarks.servers import Servers
from benchmarks.trained import trained

WARM, REPEATED = 3, 40
MOST_MILLISECONDS, MOST_KILOBYTES = 100.0, 150.0
LINKED = re.compile(r'(?:src|href)="(/(?:static|packages)/[^"]+)"')
GROWTH = 2.0
"""How many times slower a page may become between the sizes."""
READER = ", by a reader of a small namespace"


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


@dataclass(frozen=True, slots=True)
class Visits:
    """The pages on a log of one size, by name, and the kilobytes that a browser reads for its first page."""

    versions: int
    first: float
    pages: Mapping[str, Measured]


def addresses(versions: int) -> dict[str, str]:
    """Return the address of each page by its name."""
    model, number = f"/models/{LONG}", versions // 4
    data_set = trained(LONG, number)["training"]["dataset"]["digest"]
    return {
        "home": "/",
        "models": "/models",
        "models, searched": "/models?q=short-7",
        "models, searched for what is not there": "/models?q=not-there",
        "versions": "/versions",
        "versions, by stage": "/versions?stage=Rejected",
        "versions, by a metric": f"/versions?metric={quote('auc>0.9')}",
        "versions, by a metric that none reaches": f"/versions?metric={quote('auc>0.99')}",
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
        "rollout": f"/rollouts/{LONG}/{ENVIRONMENT}",
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
        "search for what is not there": "/search?q=not-there",
        "search for a version": f"/search?q={quote(f'{LONG}@{number}')}",
    }


def of_reader() -> dict[str, str]:
    """Return the addresses of pages for which the rights of a reader matter."""
    model = next(name for n in range(10_000) if (name := short_name(n)).startswith(SMALL_NAMESPACE))
    return {
        "home": "/",
        "models": "/models",
        "models, searched": "/models?q=short",
        "versions": "/versions",
        "versions, by stage": "/versions?stage=Rejected",
        "model": f"/models/{model}",
        "reviews": "/reviews",
        "rollouts": "/rollouts",
        "history": "/history",
        "as of": "/history/as-of",
        "search": "/search?q=short",
    }


def visit(servers: Servers, versions: int) -> Visits:
    """Return what each page takes on a log with so many versions."""
    with _browser(servers) as browser:
        _sign_in(browser, servers.admin_key)
        first = _with_files(browser)
        found = [_measured(browser, name, path) for name, path in addresses(versions).items()]
    with _browser(servers) as browser:
        _sign_in(browser, _reader(servers))
        found += [_measured(browser, f"{name}{READER}", path) for name, path in of_reader().items()]
    return Visits(versions, first, {one.name: one for one in found})


def _reader(servers: Servers) -> str:
    """Create a person who may read one small namespace, and return their key."""
    access, person = "/v1/access/identities", {"kind": "person", "name": "Ann"}
    subject = servers.call("POST", "registry", access, person).json()["subject"]
    grant = {"role": "engineer", "namespace": SMALL_NAMESPACE}
    servers.call("PUT", "registry", f"{access}/{subject}/roles", grant)
    key: str = servers.call("POST", "registry", f"{access}/{subject}/keys", {}).json()["api_key"]
    return key


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


def figures(found: Sequence[Visits]) -> list[Figure]:
    """Return the slowest and the largest page, and the page that became slower most, of each size."""
    last = found[-1]
    slowest = max(last.pages.values(), key=lambda one: one.p95)
    largest = max(last.pages.values(), key=lambda one: one.kilobytes)
    times = f"{slowest.name}: p50 {slowest.p50:.0f} ms, p99 {slowest.p99:.0f} ms"
    of = f"of {len(last.pages)} pages at {last.versions:,} versions"
    return [
        _at_most(f"slowest {of}, warm, p95", slowest.p95, "ms", MOST_MILLISECONDS, times),
        _growth(found[0], last),
        _at_most(f"largest {of}", largest.kilobytes, "kB", MOST_KILOBYTES, largest.name),
        _at_most(
            "first page of the console with style sheet and scripts", last.first, "kB", MOST_KILOBYTES, ""
        ),
    ]


def _growth(small: Visits, large: Visits) -> Figure:
    """Return how many times slower the page became that became slower most."""
    growth = {name: large.pages[name].p50 / one.p50 for name, one in small.pages.items()}
    most = max(growth, key=growth.__getitem__)
    name = f"growth of a page, p50, from {small.versions:,} to {large.versions:,} versions"
    note = f"{most}: {small.pages[most].p50:.0f} and {large.pages[most].p50:.0f} ms"
    return _at_most(name, growth[most], "times", GROWTH, note)


def _at_most(name: str, value: float, unit: str, most: float, note: str) -> Figure:
    return Figure(name, value, unit, most, smaller_is_better=True, note=note)
