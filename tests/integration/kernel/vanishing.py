"""Make two hosts and a router between them, as three network namespaces, and stop the router.

PostgreSQL runs on one host, a client on the other. `python -m tests.integration.kernel.vanishing FOLDER`, in
a network namespace of its own, is the server's host and makes the others. It writes its observations as JSON.
No packet is refused: there is no answer any more, as after a power failure.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import asyncpg

from services.local import postgres
from services.local.folders import InstanceFolder
from services.local.postgres import Postgres
from shared.foundation.event_loop import Loop
from shared.foundation.postgres import CONNECTION_ERRORS, WakeUp, connect_pool, leadership

SERVER, CLIENT = "10.77.1.1", "10.77.2.1"


def main(parent: Path) -> None:
    postgres.SETTINGS["listen_addresses"] = "*"
    folder = InstanceFolder(parent)
    server = Postgres(folder, ports=folder.ports(postgres.PORTS))
    _run("ip link set lo up")
    server.prepare()
    with (folder.subfolder("postgres") / "pg_hba.conf").open("a") as rules:
        rules.write("host all all 10.77.0.0/16 scram-sha-256\n")
    child = server.launch()
    assert child is not None
    try:
        server.await_ready()
        with ExitStack() as hosts:
            router, client = (
                _host(hosts, ["sleep", "1000"]),
                _host(hosts, [sys.executable, "-m", __spec__.name, "client"]),
            )
            _wire(router, client)
            url = server.superuser_url().replace("127.0.0.1", SERVER)
            asyncio.run(_watch(url, server.superuser_url(), router, client))
    finally:
        child.stop()


def _host(hosts: ExitStack, argv: list[str]) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        ["unshare", "-n", *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    hosts.callback(child.wait)
    hosts.callback(child.kill)
    return child


def _wire(router: subprocess.Popen[str], client: subprocess.Popen[str]) -> None:
    for child in (router, client):  # until it is in a namespace of its own
        while Path(f"/proc/{child.pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
            os.sched_yield()
    inside = {here: f"nsenter -t {child.pid} -n " for here, child in (("router", router), ("client", client))}
    for line in (
        f"ip link add s0 type veth peer name s1 netns {router.pid}",
        f"ip address add {SERVER}/24 dev s0",
        "ip link set s0 up",
        "ip route add 10.77.2.0/24 via 10.77.1.254",
        f"{inside['router']}ip link add c1 type veth peer name c0 netns {client.pid}",
        f"{inside['router']}ip address add 10.77.1.254/24 dev s1",
        f"{inside['router']}ip address add 10.77.2.254/24 dev c1",
        f"{inside['router']}ip link set s1 up",
        f"{inside['router']}ip link set c1 up",
        f"{inside['router']}sysctl -qw net.ipv4.ip_forward=1",
        f"{inside['client']}ip address add {CLIENT}/24 dev c0",
        f"{inside['client']}ip link set c0 up",
        f"{inside['client']}ip route add default via 10.77.2.254",
    ):
        _run(line)


def _run(line: str) -> None:
    subprocess.run(line.split(), check=True, capture_output=True)


async def _watch(url: str, here: str, router: subprocess.Popen[str], client: subprocess.Popen[str]) -> None:
    """Watch the server: which backend has the leader's lock, and when it ends without a close."""
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(url + "\n")
    client.stdin.flush()
    connected = json.loads(await asyncio.to_thread(client.stdout.readline))
    _run(f"nsenter -t {router.pid} -n sysctl -qw net.ipv4.ip_forward=0")
    client.stdin.write("gone\n")
    client.stdin.flush()
    async with leadership(here, "vanishing", retry=0.2):  # its lock was the client's until the server noticed
        pass
    saw = json.loads(await asyncio.to_thread(client.stdout.readline))
    look = await asyncpg.connect(here)
    while left := await look.fetchval(  # noqa: ASYNC110
        "SELECT count(*) FROM pg_stat_activity WHERE client_addr = $1::inet", CLIENT
    ):
        await asyncio.sleep(0.2)
    await look.close()
    sys.stdout.write(json.dumps({**connected, **saw, "backends left": left}) + "\n")


async def _client() -> None:
    url = (await asyncio.to_thread(sys.stdin.readline)).strip()
    pool = await connect_pool(url, schemas=("public",))
    wake_up = WakeUp(url, "vanishing")
    ringing = asyncio.create_task(wake_up.run())
    async with leadership(url, "vanishing") as leader, pool.acquire() as idle, pool.acquire() as busy:
        while await idle.fetchval("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'") == 0:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.05)
        ends = {name: _ended(connection) for name, connection in (("idle", idle), ("leader", leader))}
        _report(
            {
                "connections": await idle.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE client_addr = $1::inet", CLIENT
                )
            }
        )
        await asyncio.to_thread(sys.stdin.readline)
        answer = await asyncio.gather(busy.fetchval("SELECT 1"), return_exceptions=True)
        saw = {
            "queried": type(answer[0]).__name__,
            "waited for": isinstance(answer[0], CONNECTION_ERRORS),
            "ran into our own limit": isinstance(answer[0], TimeoutError),
        }
        for name, ended in ends.items():
            await ended.wait()
            saw[name] = "ended"
        _report(saw)
        ringing.cancel()
        with suppress(BaseException):
            await asyncio.Event().wait()  # the server's host ends this process


def _ended(connection: Any) -> asyncio.Event:
    """Return an event that is set when the connection breaks without another message."""
    ended = asyncio.Event()
    connection.add_termination_listener(lambda _: ended.set())
    return ended


def _report(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1] == "client":
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(_client())
    else:
        main(Path(sys.argv[1]))
