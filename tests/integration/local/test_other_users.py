"""Another user of the machine, without credentials, neither reads nor deletes what the object store keeps."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.local import s3
from services.local.folders import InstanceFolder
from services.local.s3_security import CA, CERTIFICATE, KEY, write_security

CONTENT = b"only for those who may read it" * 1000
OTHER = 65534
SHARED = Path("/tmp")  # noqa: S108 - every user of the machine may reach it
PARTS = ("master", "volume", "filer")
PATHS = {
    "master": ("/dir/status", "/dir/assign", f"/col/delete?collection={s3.BUCKET}", "/vol/status"),
    "volume": ("/status", "/admin/ui", "/1,01"),
    "filer": (f"/buckets/{s3.BUCKET}/", f"/buckets/{s3.BUCKET}/{{key}}"),
}
DELETES = (
    f"lock\nfs.rm -rf /buckets/{s3.BUCKET}\ncollection.delete -collection {s3.BUCKET} -apply\nunlock\nexit\n"
)
READS = f"fs.ls /buckets/{s3.BUCKET}\nfs.cat /buckets/{s3.BUCKET}/{{key}}\nexit\n"


@pytest.fixture
def key(stack: Any) -> Iterator[str]:
    """An object of the artifact service, which is still there afterwards."""
    client, name = stack.s3.client("artifact"), f"test/{uuid.uuid4()}"
    client.put_object(s3.BUCKET, name, BytesIO(CONTENT), len(CONTENT))
    yield name
    assert client.get_object(s3.BUCKET, name).read() == CONTENT
    client.remove_object(s3.BUCKET, name)


def weed_shell(stack: Any, commands: str, folder: Path) -> str:
    """Run SeaweedFS's own shell as another user, in a folder with that user's files."""
    ports = stack.s3.ports
    addresses = [
        f"-{p}=127.0.0.1:{ports[f'weed.{p}']}.{ports[f'weed.{p}.grpc']}" for p in ("master", "filer")
    ]
    other = {"user": OTHER, "group": OTHER, "extra_groups": []} if os.geteuid() == 0 else {}
    shell = subprocess.Popen(
        [s3._weed(), "shell", *addresses],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env={"HOME": str(folder), "PATH": os.environ["PATH"]},
        **other,
    )
    try:
        return shell.communicate(commands.encode(), timeout=8)[0].decode()
    except subprocess.TimeoutExpired:
        shell.kill()
        return shell.communicate()[0].decode()


@pytest.fixture(params=["without a certificate", "with a certificate of their own"])
def elsewhere(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder of the other user, outside pytest's own, which only this user may enter."""
    folder = SHARED / f"regista-test-{uuid.uuid4().hex}"
    folder.mkdir(mode=0o755)
    if "own" in request.param:
        write_security(folder, "another secret")
        for file in folder.iterdir():
            file.chmod(0o644)
    yield folder
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def test_its_own_shell_gives_nothing_and_deletes_nothing(stack: Any, key: str, elsewhere: Path) -> None:
    assert key.rpartition("/")[2] not in weed_shell(stack, READS.format(key=key), elsewhere)
    assert "is deleted" not in weed_shell(stack, DELETES, elsewhere)


def answers(url: str) -> bytes:
    """Return the body of a successful answer; nothing for any refusal. Any certificate will do."""
    try:
        answer = httpx.get(url, timeout=5, verify=False)  # noqa: S501 - an attacker does not care
    except httpx.HTTPError:
        return b""
    return answer.content if answer.is_success else b""


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_port_but_s3_answers(stack: Any, key: str, part: str, scheme: str) -> None:
    port = stack.s3.ports[f"weed.{part}"]
    found = [answers(f"{scheme}://127.0.0.1:{port}{path.format(key=key)}") for path in PATHS[part]]
    assert found == [b""] * len(PATHS[part])


def test_s3_answers_no_one_without_a_key(stack: Any, key: str) -> None:
    url = f"http://{stack.s3.endpoint}/{s3.BUCKET}/"
    assert (answers(url), answers(f"{url}{key}")) == (b"", b"")


def test_no_socket_of_its_parts_is_open_to_other_users(stack: Any, key: str) -> None:
    assert key
    ports = {str(stack.s3.ports[f"weed.{part}.grpc"]) for part in (*PARTS, "s3")}
    sockets = SHARED.glob("seaweedfs-*.sock")
    found = [path.name for path in sockets if path.stem.rpartition("-")[2] in ports]
    assert [name for name in found if (SHARED / name).stat().st_mode & 0o022] == []


def test_a_certificate_is_issued_once_and_only_its_owner_reads_its_key(tmp_path: Path) -> None:
    folder = InstanceFolder(tmp_path).subfolder("s3")
    write_security(folder, "secret")
    before = [(folder / name).read_bytes() for name in (CA, CERTIFICATE, KEY)]
    write_security(folder, "secret")
    assert [(folder / name).read_bytes() for name in (CA, CERTIFICATE, KEY)] == before
    assert {path.name: path.stat().st_mode & 0o077 for path in folder.iterdir()} == dict.fromkeys(
        (CA, CERTIFICATE, KEY, "security.toml"), 0
    )
