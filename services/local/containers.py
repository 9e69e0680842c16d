"""Set up the servers of docker-compose.yml in two one-shot steps.

`prepare` runs before the servers start and writes their configurations and passwords. `migrate` runs once
they are up and creates what the services need in the database, Kafka and S3. Both write the settings of each
server or service as files into its own volume. `link` prints a link that signs the administrator in to the
console once.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from services.kafka.topics import SERVICES
from services.local import links
from services.local.folders import InstanceFolder, write_private
from services.local.fronts import FRONTS, PROCESSES
from services.local.identities import ADMIN, READERS, Identities
from services.local.instance import Instance
from services.local.kafka import Kafka, new_cluster_id
from services.local.s3 import S3
from services.local.s3_security import FILES as SECURITY_FILES
from services.local.stack import Stack

PAGES = "/srv/pages"
"""Where the image has the console's front-end packages."""
TARGETS = "/targets"
"""Where docker-compose.yml mounts the settings of the targets of mirrors."""
STATE = Path("/var/lib/regista")
SETTINGS = Path("/settings")
FIRST_PUBLISHED_PORT = 8001
SERVER_FILES = {  # all that a server sees of the state
    "postgres": ["secrets/postgres-superuser"],
    "kafka": ["kafka/server.properties", "kafka/cluster"],
    "s3": ["s3/identities.json", "s3/master.toml", *(f"s3/{name}" for name in SECURITY_FILES)],
}


def stack() -> Stack:
    """Return the servers under their names in docker-compose.yml."""
    folder = InstanceFolder(STATE)
    found = Stack(folder)
    found.kafka = Kafka(
        folder,
        bound=found.kafka.bound,
        host="kafka",
        listen="0.0.0.0",  # noqa: S104
        ports={"kafka": 9092, "kafka.controller": 9093},
    )
    found.s3 = S3(folder, host="s3", ports={"weed.s3": 8333})
    found.postgres.given = (
        f"postgresql://postgres:{folder.secret('postgres-superuser')}@postgres:5432/postgres"
    )
    return found


def of(servers: Stack) -> Instance:
    """Return the instance on these servers, with the ports that docker-compose.yml publishes."""
    urls = {service: f"http://127.0.0.1:{FIRST_PUBLISHED_PORT + at}" for at, service in enumerate(PROCESSES)}
    return Instance(servers.folder, servers, Identities(servers.folder), urls)


def prepare() -> None:
    """Write passwords and configurations."""
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
    """Create roles, schema, topics, users, permissions, buckets and identities.

    Then write each service's settings.
    """
    servers = stack()
    for server in (servers.postgres, servers.kafka, servers.s3):
        server.await_ready()
    instance = of(servers)
    instance.migrate()
    give_settings(instance)
    instance.write_profile()


def give_settings(instance: Instance) -> None:
    """Write the settings of each service into its own folder."""
    for service in PROCESSES:
        for name, value in instance.environment(service).items():
            _give(SETTINGS / service, name.removeprefix("REGISTA_"), value)
    inside = {service: f"http://{service}:8000" for service in SERVICES}
    for name in (*FRONTS, *READERS):  # they call the services inside the network
        _give(SETTINGS / name, "PUBLIC_URLS", json.dumps(inside))
    for front in FRONTS:  # and name the address outside
        _give(SETTINGS / front, f"{front.upper()}_URL", instance.urls[front])
    _give(SETTINGS / "mirror", "MIRROR_TARGETS", TARGETS)
    _give(SETTINGS / "console", "CONSOLE_PACKAGES", PAGES)


def _give(folder: Path, name: str, value: str) -> None:
    """Write one setting as a file; the entry point passes it on as REGISTA_<name>_FILE.

    A setting that names a file is copied.
    """
    if name.endswith("_FILE"):
        shutil.copy(value, folder / name.removesuffix("_FILE"))
    elif name != "HTTP_PORT":
        write_private(folder / name, value)


def link() -> None:
    """Print a link that signs the administrator in to the console once."""
    instance = of(stack())
    print(links.link(instance, ADMIN, console="http://console:8000"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.local.containers", description=__doc__)
    parser.add_argument("step", choices=["prepare", "migrate", "link"])
    {"prepare": prepare, "migrate": migrate, "link": link}[parser.parse_args().step]()


if __name__ == "__main__":
    main()
