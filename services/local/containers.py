"""The set-up of docker-compose.yml, in two one-shot steps: before the servers start, and once they are there.

`prepare` writes the servers' configurations and passwords; `migrate` brings database, Kafka and S3 to what
the services need. Both give each server or service its settings, as files in a volume of its own.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from services.local.identities import Identities
from services.local.instance import Instance
from services.local.kafka import Kafka, new_cluster_id
from services.local.places import Place, write_private
from services.local.s3 import S3
from services.local.stack import Stack
from services.local.topics import SERVICES

STATE = Path("/var/lib/regista")
SETTINGS = Path("/settings")
FIRST_PUBLISHED_PORT = 8001
SERVER_FILES = {  # all that a server sees of the state
    "postgres": ["secrets/postgres-superuser"],
    "kafka": ["kafka/server.properties", "kafka/cluster"],
    "s3": ["s3/identities.json", "s3/security.toml"],
}


def stack() -> Stack:
    """The servers under the names that docker-compose.yml gives them."""
    place = Place(STATE)
    found = Stack(place)
    found.kafka = Kafka(
        place,
        host="kafka",
        listen="0.0.0.0",  # noqa: S104
        ports={"kafka": 9092, "kafka.controller": 9093},
    )
    found.s3 = S3(place, host="s3", ports={"weed.s3": 8333})
    found.postgres.given = (
        f"postgresql://postgres:{place.secret('postgres-superuser')}@postgres:5432/postgres"
    )
    return found


def of(servers: Stack) -> Instance:
    """The instance on these servers; its services are reached on the ports that docker-compose.yml publishes."""
    urls = {service: f"http://127.0.0.1:{FIRST_PUBLISHED_PORT + at}" for at, service in enumerate(SERVICES)}
    return Instance(servers.place, servers, Identities(servers.place), urls)


def prepare() -> None:
    """Passwords and configurations."""
    servers = stack()
    servers.kafka.configure("/var/lib/kafka/data")
    cluster = STATE / "kafka" / "cluster"
    if not cluster.exists():
        cluster.write_text(new_cluster_id())
    servers.s3.prepare()
    for server, files in SERVER_FILES.items():
        for file in files:
            shutil.copy(STATE / file, SETTINGS / server)


def migrate() -> None:
    """Roles, schema, topics, users, permissions, bucket, identities; then each service's settings."""
    servers = stack()
    for server in (servers.postgres, servers.kafka, servers.s3):
        server.await_ready()
    instance = of(servers)
    instance.migrate()
    give_settings(instance)
    instance.write_profile()


def give_settings(instance: Instance) -> None:
    """To each service its own."""
    for service in SERVICES:
        for name, value in instance.environment(service).items():
            _give(SETTINGS / service, name.removeprefix("REGISTA_"), value)


def _give(folder: Path, name: str, value: str) -> None:
    """A setting as a file; the entry point passes it on as REGISTA_<name>_FILE.

    What names a file is copied.
    """
    if name.endswith("_FILE"):
        shutil.copy(value, folder / name.removesuffix("_FILE"))
    elif name != "HTTP_PORT":
        write_private(folder / name, value)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.local.containers", description=__doc__)
    parser.add_argument("step", choices=["prepare", "migrate"])
    {"prepare": prepare, "migrate": migrate}[parser.parse_args().step]()


if __name__ == "__main__":
    main()
