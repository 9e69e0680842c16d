"""The three servers in containers, with the same configuration and ports, where a Docker engine answers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from services.local import kafka, postgres, s3
from services.local.kafka import new_cluster_id
from services.local.stack import STATE, Stack

POSTGRES, KAFKA, SEAWEEDFS = "postgres:18", "apache/kafka:4.4.0", "chrislusf/seaweedfs:4.48"


def docker_answers() -> bool:
    """True where containers can be started. REGISTA_TEST_DOCKER=0 disables them."""
    if os.environ.get("REGISTA_TEST_DOCKER") == "0" or not (
        os.environ.get("DOCKER_HOST") or Path("/var/run/docker.sock").exists()
    ):
        return False
    import docker  # noqa: PLC0415 - only where there may be an engine

    try:
        client = docker.from_env(timeout=5)
        answered = bool(client.ping())
        client.close()
    except docker.errors.DockerException:
        return False
    return answered


@contextmanager
def running(stack: Stack) -> Iterator[None]:
    """Starts the stack's servers in containers on the host's network, and waits as for local ones."""
    folder = stack.folder
    stack.set_ports(folder.ports([*postgres.PORTS, *kafka.PORTS, *s3.PORTS]))
    stack.postgres.given = f"postgresql://postgres:{folder.secret('postgres-superuser')}@127.0.0.1:{stack.postgres.ports['postgres']}/postgres"
    stack.kafka.configure("/var/lib/kafka/data")
    stack.s3.prepare()
    with ExitStack() as started:
        for image, entrypoint, command in (_postgres(stack), _kafka(), _s3(stack)):
            started.enter_context(_container(stack, image, entrypoint, command))
        for server in stack.servers().values():
            server.await_ready()
        folder.write(STATE, {"processes": [], "postgres_given": stack.postgres.given})
        yield


def _container(stack: Stack, image: str, entrypoint: list[str], command: list[str]) -> Any:
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415

    made = (
        DockerContainer(image)
        .with_kwargs(network_mode="host", user="root", entrypoint=entrypoint)
        .with_command(command)
    )
    return made.with_volume_mapping(str(stack.folder.directory), "/state", "rw").with_env(
        "POSTGRES_PASSWORD_FILE", "/state/secrets/postgres-superuser"
    )


def _postgres(stack: Stack) -> tuple[str, list[str], list[str]]:
    settings = {**postgres.SETTINGS, "port": str(stack.postgres.ports["postgres"])}
    return (
        POSTGRES,
        ["docker-entrypoint.sh"],
        ["postgres", *(part for key, value in settings.items() for part in ("-c", f"{key}={value}"))],
    )


def _kafka() -> tuple[str, list[str], list[str]]:
    properties, programs = "/state/kafka/server.properties", "/opt/kafka/bin"
    script = (
        f"{programs}/kafka-storage.sh format -t {new_cluster_id()} -c {properties} "
        f"&& exec {programs}/kafka-server-start.sh {properties}"
    )
    return KAFKA, ["bash", "-c"], [script]


def _s3(stack: Stack) -> tuple[str, list[str], list[str]]:
    return (
        SEAWEEDFS,
        ["sh", "-c"],
        [f"cd /state/s3 && exec weed {' '.join(stack.s3.arguments('/data', '/state/s3'))}"],
    )
