"""Fetch and build Keycloak, once: its distribution from Maven, pinned in `deploy/keycloak/pom.xml`."""

from __future__ import annotations

import hashlib
import zipfile
from functools import partial
from pathlib import Path

from services.local.cache import made_once
from services.local.folders import REPOSITORY, LocalError
from services.local.maven import fetch
from services.local.processes import run_to_end

POM = REPOSITORY / "deploy" / "keycloak" / "pom.xml"
CHECKSUM = REPOSITORY / "deploy" / "keycloak" / "keycloak.sha256"
BUILD = ("build", "--db=dev-file", "--cache=local", "--features-disabled=kerberos,ciba,par,impersonation")
"""One node with a database in a file, and without what signing in on one machine does not use."""
_MAIN = "io.quarkus.bootstrap.runner.QuarkusEntryPoint"
_THREADS = "io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory"


def installed(java: str) -> Path:
    """Return the folder of the built program in the cache. Raises LocalError."""
    content = POM.read_bytes() + CHECKSUM.read_bytes() + " ".join(BUILD).encode()
    return made_once(f"keycloak-{hashlib.sha256(content).hexdigest()[:12]}", partial(_build, java))


def java_command(java: str, program: Path, folder: Path) -> list[str]:
    """Return the start of a command line. `folder` has the settings and the data."""
    return [
        java,
        "-Xms64m",
        "-Xmx512m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",
        "-Dfile.encoding=UTF-8",
        "-Dpicocli.disable.closures=true",
        f"-Djava.util.concurrent.ForkJoinPool.common.threadFactory={_THREADS}",
        "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
        "-Dquarkus-log-max-startup-records=10000",
        f"-Dkc.home.dir={folder}",
        f"-Djboss.server.config.dir={folder / 'conf'}",
        *(
            f"--add-opens=java.base/java.{name}=ALL-UNNAMED"
            for name in ("util", "util.concurrent", "security")
        ),
        "-cp",
        str(program / "lib" / "quarkus-run.jar"),
        _MAIN,
    ]


def _build(java: str, folder: Path) -> Path:
    log, copied = folder.with_name("keycloak.log"), folder / "copied"
    fetch(POM, copied, "dependency:copy", what="Keycloak", log=log)
    archive = _verified(copied)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    program = folder / archive.stem.replace("quarkus-dist-", "")
    run_to_end([*java_command(java, program, program), *BUILD], log=log, timeout=600)
    return program


def _verified(folder: Path) -> Path:
    """Return the only file of the folder. Raises LocalError when it is not that of `keycloak.sha256`."""
    digest, name = CHECKSUM.read_text().split()
    found = {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in folder.iterdir()}
    if found != {name: digest}:
        raise LocalError(
            f"Keycloak is not that of {CHECKSUM.relative_to(REPOSITORY)}: {', '.join(found)}. "
            "It is not used: check the repository that Maven fetched it from."
        )
    return folder / name
