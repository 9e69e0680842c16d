"""Two replicas of everything under load, and faults in random order: what was acknowledged happened once.

`make chaos` runs it for ten minutes. REGISTA_CHAOS_SECONDS sets the time, REGISTA_CHAOS_SEED repeats an
order, and REGISTA_CHAOS_FAULTS names the faults to choose from (`kill_service,kill_kafka`).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from regista.client.async_client import AsyncClient
from regista.wire.keys import load_signing_key
from services.kafka.topics import SOURCES, WRITERS
from services.local.folders import REPOSITORY
from services.local.kafka import SECURITY
from shared.foundation.topics import dlq_of
from tests.chaos.callers import Caller, KafkaCaller
from tests.chaos.checker import Facts, check
from tests.chaos.evidence import Reader, dead_letters, members, object_reader, whole_log
from tests.chaos.faults import Faults
from tests.chaos.fleet import Fleet
from tests.chaos.journal import Journal, read_journal
from tests.chaos.load import POLICY, Load
from tests.chaos.publishing import person, pipeline

SECONDS = float(os.environ.get("REGISTA_CHAOS_SECONDS", "60"))
SEED = int(os.environ.get("REGISTA_CHAOS_SEED") or 0) or random.randrange(1, 1_000_000)
SHOWN = {
    "VersionRetired",
    "RetireRefused",
    "RolledBack",
    "RolloutChanged",
    "VersionPromoted",
    "ArtifactReleased",
}
"""Events without which a run would prove little."""
ONLY = frozenset(filter(None, os.environ.get("REGISTA_CHAOS_FAULTS", "").split(",")))
REPLICAS = 2
DRAINED_WITHIN = 180.0
SETTLED_WITHIN = 60
"""Seconds in which Kafka drops the member of a process that was killed: four session timeouts. A client that
a living process has left behind sends heartbeats and stays."""

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(int(SECONDS) + 900)]


@dataclass(slots=True)
class Run:
    """One chaos run: its fleet, its journal, and the readers of the log."""

    fleet: Fleet
    journal: Journal
    random: random.Random
    readers: list[Reader] = field(default_factory=list)
    callers: list[Caller] = field(default_factory=list)

    @property
    def urls(self) -> dict[str, list[str]]:
        return {s: [m.url for m in self.fleet.named(s)] for s in {m.service for m in self.fleet.replicas}}

    def kafka_options(self, user: str) -> dict[str, Any]:
        kafka = self.fleet.instance.stack.kafka
        return {
            "bootstrap_servers": kafka.bootstrap,
            "security_protocol": SECURITY,
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": user,
            "sasl_plain_password": kafka.password(user),
        }

    def caller(self, client: AsyncClient) -> Caller:
        self.callers.append(Caller(self.urls, client.profile.api_key, self.journal))
        return self.callers[-1]

    async def load(self, folder: Path, stop: asyncio.Event) -> Load:
        """Create the identities and the policy, and return the load."""
        async with self.fleet.admin() as admin:
            await admin.publish_policy("chaos", POLICY, expected=0)
            publisher = await pipeline(self.fleet.instance, admin, folder)
            engineer = await person(self.fleet.instance, admin, "engineer")
        key = load_signing_key(str(folder / "key.json"))
        kafka = KafkaCaller(self.kafka_options("pipeline"))
        callers = self.caller(publisher), self.caller(engineer)
        return Load(*callers, kafka, key, self.journal, self.random, stop)

    async def break_things(self) -> list[str]:
        """Run faults for the time of the run."""
        faults, done = Faults(self.fleet, self.random, ONLY), list[str]()
        deadline = time.monotonic() + SECONDS
        while True:
            for fault in faults.order():
                await asyncio.sleep(self.random.uniform(0.5, 5.0))
                if time.monotonic() > deadline:
                    return done
                done.append(await fault())
                self.journal.write("fault", fault=done[-1])

    async def drained(self) -> float:
        """Wait until every process is ready and nothing waits. Return the seconds that it took."""
        began, quiet, left = time.monotonic(), 0, "?"
        while quiet < 3:
            assert time.monotonic() - began < DRAINED_WITHIN, f"not drained: {left} {self.fleet.reasons()}"
            try:
                left = str(await self.fleet.backlog())
            except Exception as error:  # noqa: BLE001 - servers may be starting
                left = repr(error)
            quiet = quiet + 1 if left == "0" and not await asyncio.to_thread(self.fleet.reasons) else 0
            await asyncio.sleep(0.5)
        return time.monotonic() - began - 1.0

    async def facts(self) -> Facts:
        stack = self.fleet.instance.stack
        administrator = stack.kafka.connection().aiokafka()  # no service reads the dead letters of all topics
        dead = await dead_letters(administrator, [dlq_of(topic) for topic in SOURCES])
        return Facts(
            journal=list(read_journal(self.journal.path)),
            events=await whole_log(stack.owner_url()),
            dead=dead,
            seen={reader.partition: list(reader.seen) for reader in self.readers},
            read_object=object_reader(stack.s3.client("stack")),
        )

    async def of_processes(self) -> list[str]:
        """Return what is wrong with processes: a part that ended, or a client that was left behind."""
        async with httpx.AsyncClient(timeout=10) as http:
            lives = {m.name: await http.get(f"{m.url}/healthz") for m in self.fleet.replicas}
        found = [f"{name} is not alive: {life.text}" for name, life in lives.items() if not life.is_success]
        for _ in range(SETTLED_WITHIN):
            if not (groups := await self.of_groups()):
                break
            await asyncio.sleep(1)
        return found + groups

    async def of_groups(self) -> list[str]:
        """Return the consumer groups that have more or fewer members than there are processes."""
        groups = {f"{s}.{topic}" for s in WRITERS.values() for topic in SOURCES}
        counted = await asyncio.to_thread(
            lambda: members(self.fleet.instance.stack.kafka.admin(), sorted(groups))
        )
        return [
            f"group {name} has {n} members, and there are {REPLICAS} processes"
            for name, n in counted.items()
            if n not in {0, REPLICAS}
        ]

    async def of_rebuilds(self) -> list[str]:
        """Return the services whose read models differ from a rebuild."""
        stack = self.fleet.instance.stack
        urls = {name: stack.database_url(name) for name in WRITERS.values()}
        command = [sys.executable, "-m", "services.local.rebuild", *urls]
        rebuild = await asyncio.to_thread(
            lambda: subprocess.run(
                command, input=json.dumps(urls), capture_output=True, text=True, check=False, cwd=REPOSITORY
            )
        )
        if rebuild.returncode:
            return [f"the rebuild failed: {rebuild.stderr[-500:]}"]
        return [f"read models of {r['service']} differ" for r in json.loads(rebuild.stdout) if not r["equal"]]


def show(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """Print in spite of pytest: the seed repeats the order of faults."""
    with capsys.disabled():
        print(text, flush=True)  # noqa: T201


async def test_what_was_acknowledged_happened_once_whatever_broke(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Fleet.running(f"test-{os.getpid()}-faults", REPLICAS) as fleet:
        run = Run(fleet, Journal(tmp_path / "journal.jsonl"), random.Random(SEED))
        show(capsys, f"\nchaos: seed {SEED}, {SECONDS:g} s, journal {run.journal.path}")
        stop = asyncio.Event()
        load = await run.load(tmp_path, stop)
        url = fleet.instance.stack.owner_url()
        run.readers = [
            Reader(url, name) for name in ("registry", "access", "approval", "artifact", "cleanup")
        ]
        reading = [asyncio.create_task(reader.run()) for reader in run.readers]
        loading = asyncio.create_task(load.run())
        faults = await run.break_things()
        stop.set()
        took = await run.drained()
        await asyncio.wait_for(loading, 120)
        await run.drained()
        for reader, task in zip(run.readers, reading, strict=True):
            await reader.catches_up()
            task.cancel()
        facts = await run.facts()
        differences = [*check(facts), *await run.of_processes(), *await run.of_rebuilds()]
        for caller in run.callers:
            await caller.close()
        await load.kafka.close()
        run.journal.close()
        (tmp_path / "differences.txt").write_text("\n".join(differences) + "\n")
        if differences:
            shutil.copytree(fleet.instance.folder.subfolder("logs"), tmp_path / "logs")
        what = Counter(
            f"{line['kind']} {line['what']}" if "kind" in line else line["what"] for line in facts.journal
        )
        show(capsys, f"{len(faults)} faults: {'; '.join(faults)}")
        show(capsys, f"{dict(what)}; {len(facts.events)} events; drained after {took:.0f} s")
        show(capsys, f"{dict(Counter(e.type for e in facts.events if e.type in SHOWN))}")
    assert differences == []
