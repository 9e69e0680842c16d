"""Measure one version through everything: all services run, and the clock stops when all work is drained.

Drained means: every version is Validated, every relay has published the whole log, every consumer has read
its topics, and audit has sealed and indexed every event.

`python -m benchmarks.chain [--versions N] [--over http|kafka]` runs this alone and prints what a version
costs: processor time by process, stored events by service and type, and bytes of PostgreSQL's WAL.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx

from benchmarks import load, processor
from benchmarks.figures import Figure
from benchmarks.intake import publisher
from benchmarks.servers import Servers, start_servers
from benchmarks.trained import message, trained
from regista.wire.digests import FileEntry, manifest_digest
from regista.wire.keys import SigningKey
from services.kafka.topics import TRAINING
from services.local.lag import consumer_lag

SERVICES = ("registry", "approval", "artifact", "cleanup", "audit")
WRITERS = ("registry", "approval", "artifact", "cleanup")
CONNECTIONS, MODELS, WARM_UP, VERSIONS = 32, 100, 300, 1_500
PATIENCE = 300.0
"""Seconds until a chain that does not drain fails."""

EVENTS = "SELECT service, type, count(*) FROM log.events GROUP BY 1, 2"
# One row: versions validated, stored events, and whether every reader of the log has read all of it.
DRAINED = """
SELECT (SELECT count(*) FROM log.events_registry WHERE type = 'VersionValidated'),
       (SELECT last_value FROM log.event_seq),
       (SELECT count(*) FROM log.events) = (SELECT size FROM audit.tree)
       AND (SELECT (tx, seq) FROM audit.tree) = (SELECT (tx, seq) FROM audit.index_state)
""" + "".join(
    f"AND NOT EXISTS (SELECT 1 FROM log.events_{name} e WHERE (e.tx, e.seq) > "
    f"((SELECT tx FROM {name}.relay_checkpoint)::text::xid8, (SELECT seq FROM {name}.relay_checkpoint)))\n"
    for name in WRITERS
)
WAL = "SELECT wal_records::bigint, wal_fpi::bigint, wal_bytes::bigint FROM pg_stat_wal"


@dataclass(frozen=True, slots=True)
class Cost:
    """What `versions` versions took.

    Processor milliseconds, stored events, WAL and commits are those of one version.
    """

    over: str
    versions: int
    seconds: float
    answered: float
    processor: dict[str, float]
    events: dict[tuple[str, str], float]
    wal: dict[str, float]
    commits: dict[str, float]

    @property
    def rate(self) -> float:
        """Versions a second, from the first request until everything is drained."""
        return self.versions / self.seconds

    @property
    def milliseconds(self) -> float:
        """Processor milliseconds of one version over all processes but the load generator."""
        return sum(ms for name, ms in self.processor.items() if name != "load")

    def table(self) -> str:
        """Everything as Markdown."""
        lines = [
            f"## {self.versions} versions over {self.over}",
            "",
            f"{self.rate:,.0f} versions/s until drained ({self.answered:,.0f}/s answered)",
            f"{self.milliseconds:.2f} ms of processor time a version over all processes",
            "",
            "| process | ms a version |",
            "|---|---|",
            *(f"| {n} | {ms:.2f} |" for n, ms in sorted(self.processor.items(), key=lambda i: -i[1])),
            "",
            "WAL of a version: {bytes:,.0f} bytes, {records:.0f} records, {pages:.1f} full pages.".format(
                **self.wal
            ),
            "Commits of 100 versions: "
            + ", ".join(f"{name} {n * 100:.1f}" for name, n in sorted(self.commits.items())),
            f"Stored events of a version: {sum(self.events.values()):.2f}",
            "",
            *(
                f"- {service} {type_}: {n:.2f}"
                for (service, type_), n in sorted(self.events.items())
                if n >= 0.005
            ),
        ]
        return "\n".join(lines)


class Chain:
    """All services of an instance, and what is measured on them."""

    def __init__(self, servers: Servers, pids: dict[str, int], owner: asyncpg.Connection) -> None:
        self._servers, self._pids, self._owner = servers, pids, owner
        self._artifacts: dict[str, dict[str, Any]] = {}
        self._made = 0
        self._publisher: tuple[SigningKey, str] | None = None

    async def cost(self, versions: int, over: str) -> Cost:
        """Send `versions` registrations and measure until everything is drained."""
        messages = self._prepared(versions, over)
        validated, sequence, _ = await self._owner.fetchrow(DRAINED)
        events, wal, commits = await self._events(), await self._wal(), self._commits()
        spent = self._processor()
        began = time.perf_counter()
        await (self._over_http(messages) if over == "http" else self._over_kafka(messages))
        answered = time.perf_counter() - began
        drained, spent_then = await self._drained(validated + versions, sequence)
        events_then, wal_then = await self._events(), await self._wal()
        return Cost(
            over,
            versions,
            drained - began,
            versions / answered,
            {n: (ms - spent.get(n, 0)) * 1000 / versions for n, ms in spent_then.items()},
            {n: (count - events.get(n, 0)) / versions for n, count in events_then.items()},
            {n: (count - wal[n]) / versions for n, count in wal_then.items()},
            {n: (count - commits[n]) / versions for n, count in self._commits().items()},
        )

    def _prepared(self, versions: int, over: str) -> list[Any]:
        numbers = range(self._made, self._made + versions)
        self._made += versions
        if over == "http":
            return [self._request(n) for n in numbers]
        self._publisher = self._publisher or _publisher(self._servers)
        key, api_key = self._publisher
        return [
            message(key, n, datetime.now(UTC), self._trained(f"bench.kafka-{n % MODELS}", n, api_key))
            for n in numbers
        ]

    def _trained(self, model: str, number: int, api_key: str) -> dict[str, Any]:
        """All versions of a model have the same bytes, so they are uploaded and copied once."""
        if model not in self._artifacts:
            self._artifacts[model] = _uploaded(self._servers, api_key, model)
        return trained(model, number) | {"artifact": self._artifacts[model]}

    def _request(self, number: int) -> bytes:
        model = f"bench.chain-{number % MODELS}"
        body = {
            k: v for k, v in self._trained(model, number, self._servers.admin_key).items() if k != "model"
        }
        url = f"{self._servers.instance.urls['registry']}/v1/models/{model}/versions"
        return load.request("POST", url, self._servers.admin_key, json.dumps(body).encode())

    async def _over_http(self, requests: list[bytes]) -> None:
        statuses = await load.send(self._servers.instance.urls["registry"], requests, CONNECTIONS)
        if set(statuses) - {201}:
            raise AssertionError(f"not everything was registered: {statuses}")

    async def _over_kafka(self, messages: list[Any]) -> None:
        from aiokafka import AIOKafkaProducer  # noqa: PLC0415

        kafka = self._servers.stack.kafka
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap,
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="SCRAM-SHA-512",
            sasl_plain_username="pipeline",
            sasl_plain_password=kafka.password("pipeline"),
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            max_batch_size=256 * 1024,
            compression_type="zstd",
        )
        await producer.start()
        sent = [await producer.send(TRAINING, value=v, key=k, headers=h) for k, v, h in messages]
        await asyncio.gather(*sent)
        await producer.stop()

    async def _drained(self, validated: int, sequence: int) -> tuple[float, dict[str, float]]:
        """Return when everything was drained, and the processor time until then."""
        admin = self._servers.stack.kafka.admin()
        until = time.perf_counter() + PATIENCE
        while time.perf_counter() < until:
            await asyncio.sleep(0.1)
            now = await self._owner.fetchrow(DRAINED)
            if now[0] < validated or not now[2]:
                continue
            at, spent = time.perf_counter(), self._processor()
            behind = {group: n for group, by in consumer_lag(admin).items() if (n := sum(by.values()))}
            again = await self._owner.fetchrow(DRAINED)
            if not behind and again[1] == now[1] > sequence and again[2]:
                return at, spent
        raise TimeoutError(f"not drained after {PATIENCE:.0f} s: {now[0]} of {validated} versions validated")

    async def _events(self) -> dict[tuple[str, str], int]:
        return {(row[0], row[1]): row[2] for row in await self._owner.fetch(EVENTS)}

    async def _wal(self) -> dict[str, int]:
        await self._owner.execute("SELECT pg_stat_clear_snapshot()")
        return dict(zip(("records", "pages", "bytes"), await self._owner.fetchrow(WAL), strict=True))

    def _commits(self) -> dict[str, float]:
        """Return the number of commits so far, by service."""
        found = {}
        for name in WRITERS:
            lines = httpx.get(f"{self._servers.instance.urls[name]}/metrics", timeout=60).text.splitlines()
            of = f'regista_batch_commands_count{{service="{name}"}} '
            found[name] = next((float(line.removeprefix(of)) for line in lines if line.startswith(of)), 0.0)
        return found

    def _processor(self) -> dict[str, float]:
        """Return the processor seconds so far: services, servers, PostgreSQL by role, load."""
        parents = processor.children_by_parent()
        spent = {name: processor.tree(pid, parents) for name, pid in self._pids.items()}
        for child in self._servers.stack.children:
            name, pid = child.identity.name, child.popen.pid
            if name == "postgres":
                spent |= processor.backends(pid, parents)
            else:
                spent[name] = processor.tree(pid, parents)
        spent["load"] = processor.own(os.getpid())
        return spent


def _publisher(servers: Servers) -> tuple[SigningKey, str]:
    """Create an identity that signs and uploads; return its signing key and its API key."""
    key = publisher(servers)
    issued = servers.call("POST", "registry", f"/v1/access/identities/{key.subject}/keys", {})
    return key, issued.json()["api_key"]


def _uploaded(servers: Servers, api_key: str, model: str) -> dict[str, Any]:
    """Upload one small file, which only versions of this model have."""
    content = json.dumps({"model": model, "weights": [0.5] * 20}).encode()
    answer = httpx.post(
        servers.instance.urls["artifact"] + "/v1/uploads?name=model.json",
        content=content,
        headers={
            "authorization": f"Bearer {api_key}",
            "content-type": "application/octet-stream",
        },
        timeout=60,
    )
    answer.raise_for_status()
    file = FileEntry("model.json", len(content), hashlib.sha256(content).hexdigest())
    return {
        "digest": manifest_digest([file]),
        "location": answer.json()["location"],
        "files": [{"path": file.path, "size": file.size, "sha256": file.sha256}],
    }


@contextlib.asynccontextmanager
async def started(servers: Servers) -> Any:
    """Start a chain and warm up its plans, its caches and Java's compiler."""
    with servers.running(*SERVICES) as pids:
        # the superuser: pg_stat_wal and every schema
        url = servers.stack.postgres.superuser_url().rpartition("/")[0] + "/regista"
        owner = await asyncpg.connect(url)
        yield Chain(servers, pids, owner)
        await owner.close()


async def measure(servers: Servers) -> Sequence[Figure]:
    async with started(servers) as chain:
        costs = []
        for over in ("http", "kafka"):
            await chain.cost(WARM_UP, over)
            costs.append(await chain.cost(VERSIONS, over))
            print(costs[-1].table(), flush=True)
    figures = []
    for cost in costs:
        name = f"a version over {cost.over} through all services, until drained"
        parts = sorted(cost.processor.items(), key=lambda item: -item[1])
        note = ", ".join(f"{n} {ms:.2f}" for n, ms in parts[:6])
        figures += [
            Figure(name, cost.rate, "versions/s", 450),
            Figure(
                f"{name}: processor time of all processes",
                cost.milliseconds,
                "ms",
                5,
                smaller_is_better=True,
                note=note,
            ),
        ]
    return figures


async def _alone(versions: int, over: str, rounds: int) -> None:
    with start_servers() as servers:
        async with started(servers) as chain:
            await chain.cost(min(WARM_UP, versions), over)
            for _ in range(rounds):
                print((await chain.cost(versions, over)).table(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chain", description=__doc__)
    parser.add_argument("--versions", type=int, default=VERSIONS)
    parser.add_argument("--over", choices=("http", "kafka"), default="http")
    parser.add_argument("--rounds", type=int, default=1)
    chosen = parser.parse_args()
    asyncio.run(_alone(chosen.versions, chosen.over, chosen.rounds))


if __name__ == "__main__":
    main()
