"""An instance whose processes a test kills, pauses and replaces: servers, and replicas of each service."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from regista.client.async_client import AsyncClient
from regista.client.profile import Profile
from services.kafka.topics import SERVICES
from services.local.folders import InstanceFolder, free_ports
from services.local.full_disk import DiskWatch
from services.local.instance import Instance
from services.local.lag import consumer_lag, relay_lag
from services.local.processes import Child, ProcessIdentity

READY_WITHIN = 120.0
RESTART_AFTER = 0.5


@dataclass(slots=True)
class Member:
    """One process of the fleet. While it is `down` it is not started again."""

    name: str
    launch: Callable[[], Child | None]
    child: Child
    url: str = ""
    down: bool = False
    exits: int = 0

    @property
    def service(self) -> str:
        """The name without the number of the replica."""
        return self.name.partition("-")[0]


@dataclass(slots=True)
class Fleet:
    """Use it as `with Fleet.running(…)`. A thread starts again what ended, as a supervisor does."""

    instance: Instance
    members: dict[str, Member] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    @contextlib.contextmanager
    def running(cls, name: str, replicas: int = 1) -> Iterator[Fleet]:
        """Start servers and `replicas` of every service; stop them and remove the folder at the end."""
        folder = InstanceFolder.named(name)
        fleet = cls(Instance.at(folder))
        try:
            fleet._start(replicas)
            keeper = threading.Thread(target=fleet._keep, daemon=True, name="keeper")
            keeper.start()
            try:
                fleet.await_ready()
                yield fleet
            finally:
                fleet._stop.set()
                keeper.join(30)
        finally:
            fleet._end()
            shutil.rmtree(folder.directory, ignore_errors=True)

    def _start(self, replicas: int) -> None:
        instance = self.instance
        instance.choose_ports()
        instance.write_profile()
        instance.stack.start()
        instance.migrate()
        for name, server in instance.stack.servers().items():
            child = next(one for one in instance.stack.children if one.identity.name == name)
            self.members[name] = Member(name, server.launch, child)
        extra = free_ports({f"{s}-{n}": 0 for s in SERVICES for n in range(2, replicas + 1)})
        for service in SERVICES:
            self._launch(service, service, instance.urls[service])
            for n in range(2, replicas + 1):
                port = extra[f"{service}-{n}"]
                self._launch(f"{service}-{n}", service, f"http://127.0.0.1:{port}", HTTP_PORT=str(port))

    def _launch(self, name: str, service: str, url: str, **settings: str) -> None:
        def launch() -> Child:
            return self.instance.launch(service, **settings)

        self.members[name] = Member(name, launch, launch(), url)

    def _keep(self) -> None:
        disk = DiskWatch(self.instance.folder.directory)
        while not self._stop.wait(0.1):
            if disk.has_room_again():
                self.members["s3"].child.kill()
            for member in list(self.members.values()):
                with self._lock:
                    if member.down or member.child.running():
                        continue
                    member.exits += 1
                time.sleep(RESTART_AFTER)
                with self._lock:
                    if not member.down and not self._stop.is_set() and (child := member.launch()):
                        member.child = child

    def _end(self) -> None:
        members = [self.members[name] for name in self.members if name not in self.instance.stack.servers()]
        for member in members:
            member.child.kill()
        for member in members:
            member.child.popen.wait()
        servers = {n: m.child for n, m in self.members.items() if n in self.instance.stack.servers()}
        for child in servers.values():
            child.identity.send(signal.SIGCONT)
        self.instance.stack.adopt(servers)
        self.instance.stack.stop()

    # -- faults

    def kill(self, name: str) -> ProcessIdentity:
        """Kill one process with SIGKILL and return which it was; it is started again."""
        with self._lock:
            before = self.members[name].child
            before.kill()
        return before.identity

    def stop(self, name: str) -> None:
        """Kill one process and leave it down until `start`."""
        with self._lock:
            self.members[name].down = True
            self.members[name].child.kill()
        self.members[name].child.popen.wait()

    def start(self, name: str) -> None:
        """Start again what `stop` stopped."""
        self.members[name].down = False

    @contextlib.contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Stop one process with SIGSTOP, and let it continue at the end."""
        identity = self.members[name].child.identity
        identity.send(signal.SIGSTOP)
        try:
            yield
        finally:
            identity.send(signal.SIGCONT)

    # -- questions

    def named(self, service: str) -> list[Member]:
        """Return the replicas of a service."""
        return [member for member in self.members.values() if member.service == service]

    @property
    def replicas(self) -> list[Member]:
        """Every process of a service."""
        return [member for member in self.members.values() if member.url]

    def reasons(self) -> Mapping[str, str]:
        """Return why processes are not ready, by name; empty when all are."""
        found: dict[str, str] = {}
        for member in self.replicas:
            try:
                answer = httpx.get(f"{member.url}/readyz", timeout=5)
            except httpx.HTTPError as error:
                found[member.name] = type(error).__name__
                continue
            if answer.status_code != 200:
                found[member.name] = answer.text
        return found

    def await_ready(self, seconds: float = READY_WITHIN) -> float:
        """Wait until every process is ready. Return how many seconds it took."""
        began = time.monotonic()
        while reasons := self.reasons():
            assert time.monotonic() - began < seconds, f"not ready after {seconds:.0f} s: {reasons}"
            time.sleep(0.2)
        return time.monotonic() - began

    async def backlog(self) -> int:
        """Return the number of events not published, and of messages that no consumer has acknowledged."""
        stack = self.instance.stack
        relays = await relay_lag(stack.owner_url())
        consumers = await asyncio.to_thread(lambda: consumer_lag(stack.kafka.admin()))
        return sum(relays.values()) + sum(sum(topics.values()) for topics in consumers.values())

    def log(self, service: str) -> Path:
        """The log file that all replicas of a service share."""
        return self.instance.folder.log(service)

    def admin(self, url: str = "") -> AsyncClient:
        """Return a client with the administrator's key."""
        key = self.instance.identities.admin_key_file.read_text().strip()
        return AsyncClient(Profile(url=url or self.instance.urls["registry"], api_key=key))
