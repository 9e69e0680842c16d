"""Where an instance keeps its things."""

from __future__ import annotations

import hashlib
import socket
import stat
from pathlib import Path

import pytest

from services.local import folders, kafka_jars
from services.local.folders import MEGABYTE, InstanceFolder, LocalError, free_space
from services.local.kafka_jars import class_path


def test_a_secret_is_the_same_at_each_start_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    first = InstanceFolder(tmp_path).secret("kafka-admin")
    assert InstanceFolder(tmp_path).secret("kafka-admin") == first
    assert len(first) >= 32
    assert stat.S_IMODE((tmp_path / "secrets" / "kafka-admin").stat().st_mode) == 0o600


def test_ports_are_kept_from_start_to_start(tmp_path: Path) -> None:
    folder = InstanceFolder(tmp_path)
    first = folder.ports(["a", "b", "c"])
    assert len(set(first.values())) == 3
    assert folder.ports(["b", "c"]) == {"b": first["b"], "c": first["c"]}
    assert folder.ports(["a", "b", "c"]) == first


def test_a_port_that_is_in_use_is_replaced(tmp_path: Path) -> None:
    folder = InstanceFolder(tmp_path)
    first = folder.ports(["a", "b"])
    with socket.create_server(("127.0.0.1", first["a"])):
        second = folder.ports(["a", "b"])
    assert second["a"] != first["a"]
    assert second["b"] == first["b"]


def free(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0


def test_no_two_names_get_the_same_port_and_too_few_ports_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = next(run for start in range(32_000, 32_700) if all(map(free, run := range(start, start + 8))))
    monkeypatch.setattr(folders, "PORTS", few)
    wanted = [f"server-{n}" for n in few]
    assert sorted(InstanceFolder(tmp_path / "first").ports(wanted).values()) == list(few)
    with pytest.raises(LocalError, match=f"no port from {few[0]} to {few[-1]} is free"):
        InstanceFolder(tmp_path / "second").ports([*wanted, "one more"])


def test_folders_are_for_their_owner_only_whatever_they_were_before(tmp_path: Path) -> None:
    folder = InstanceFolder(tmp_path / "main")
    (folder.directory / "secrets").mkdir(parents=True, mode=0o755)
    folder.secret("kafka-admin")
    folder.subfolder("kafka", "data")
    found = {
        str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode)
        for path in tmp_path.rglob("*")
        if path.is_dir()
    }
    assert found == {"main": 0o711, "main/secrets": 0o700, "main/kafka": 0o700, "main/kafka/data": 0o700}


def test_a_kafka_home_without_kafka_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path))
    with pytest.raises(LocalError, match=r"set it to an unpacked release"):
        class_path()


def test_without_maven_and_without_jars_the_error_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAFKA_HOME", raising=False)
    monkeypatch.setenv("REGISTA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalError, match=r"install Maven .* or set KAFKA_HOME"):
        class_path()


def test_a_failed_download_leaves_no_partial_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_HOME", raising=False)
    monkeypatch.setenv("REGISTA_HOME", str(tmp_path))
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho 'Unknown host repo' >&2\nexit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(
        LocalError, match=r"(?s)check the network or the mirror .*KAFKA_HOME.*Unknown host repo"
    ):
        class_path()
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def test_jars_are_fetched_once_for_each_content_of_the_pom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAFKA_HOME", raising=False)
    monkeypatch.setenv("REGISTA_HOME", str(tmp_path))
    maven = tmp_path / "mvn"
    maven.write_text(
        f"#!/bin/sh\necho run >> {tmp_path}/runs\n"
        'for a in "$@"; do case $a in -DoutputDirectory=*) mkdir -p "${a#*=}"; '
        'printf jar > "${a#*=}/kafka.jar";; esac; done\n'
    )
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    checksums = tmp_path / "jars.sha256"
    checksums.write_text(f"{hashlib.sha256(b'jar').hexdigest()}  kafka.jar\n")
    monkeypatch.setattr(kafka_jars, "CHECKSUMS", checksums)
    assert class_path() == class_path()
    pom = tmp_path / "pom.xml"
    pom.write_text(kafka_jars.POM.read_text() + "<!-- another release -->")
    monkeypatch.setattr(kafka_jars, "POM", pom)
    class_path()
    assert (tmp_path / "runs").read_text().count("run") == 2


def test_a_first_start_needs_a_gigabyte_and_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"300 MiB of free space, and a first start needs 1,024 MiB"):
        InstanceFolder(tmp_path).check_space(lambda _: 300 * MEGABYTE)


def test_a_later_start_needs_less_because_the_files_are_there(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    InstanceFolder(tmp_path).check_space(lambda _: 300 * MEGABYTE)
    with pytest.raises(LocalError, match=r"a later start needs 128 MiB.*REGISTA_HOME"):
        InstanceFolder(tmp_path).check_space(lambda _: 100 * MEGABYTE)


def test_the_space_of_a_folder_that_is_not_there_yet_is_that_of_its_disk(tmp_path: Path) -> None:
    assert free_space(tmp_path / "not" / "there") > 0


@pytest.mark.parametrize(
    ("jars", "named"),
    [
        ({"a.jar": b"a", "b.jar": b"another"}, "b.jar"),
        ({"a.jar": b"a"}, "b.jar"),
        ({"a.jar": b"a", "b.jar": b"b", "c.jar": b"c"}, "c.jar"),
    ],
)
def test_jars_that_are_not_the_pinned_ones_are_not_used(
    jars: dict[str, bytes], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = "".join(f"{hashlib.sha256(name.encode()).hexdigest()}  {name}.jar\n" for name in "ab")
    (tmp_path / "jars.sha256").write_text(pinned)
    monkeypatch.setattr(kafka_jars, "CHECKSUMS", tmp_path / "jars.sha256")
    monkeypatch.setattr(kafka_jars, "REPOSITORY", tmp_path)
    folder = tmp_path / "jars"
    folder.mkdir()
    for name, content in jars.items():
        (folder / name).write_bytes(content)
    with pytest.raises(LocalError, match=f"jars.sha256: {named}"):
        kafka_jars.verify(folder)
