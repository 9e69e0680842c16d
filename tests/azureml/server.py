"""Run a workspace of Azure ML on loopback: Resource Manager by TLS, a managed identity, TLS to Azurite."""

from __future__ import annotations

import json
import os
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from azure.storage.blob import ContainerClient

from services.local.azurite import ACCOUNT, Azurite
from tests.certificates import own_authority

from .arm import Answered, Request, answer
from .workspace import AzureMl

BLOB_HOST = f"{ACCOUNT}.blob.core.localhost"
PIECE = 1 << 16


class Loopback(ThreadingHTTPServer):
    """One thread for each connection. A caller that leaves is no error."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: a client of these tests may close, or refuse the certificate."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    azure: AzureMl

    def setup(self) -> None:
        self.request.settimeout(60)
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
        super().setup()

    def log_message(self, *_: object) -> None:
        """Write nothing."""

    def _sends(self, status: int, body: Any, **headers: str) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(raw)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(raw)

    def _read(self) -> Request:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = parse_qs(parts.query, keep_blank_values=True)
        return Request(self.command, parts.path, query, self.headers, body)


class Arm(Handler):
    """Azure Resource Manager, with the faults that a test wants."""

    def _handle(self) -> None:
        request = self._read()
        azure, faults = self.azure, self.azure.faults
        with azure.lock:
            azure.seen.append(f"{request.method} {unquote(request.path)}")
            if any(left <= 0 for left in faults.gone_after.values()):
                self.close_connection = True
                return
            _count(faults.gone_after, request)
            if _count(faults.busy, request):
                self._sends(
                    429, {"error": {"code": "TooManyRequests", "message": "slow down"}}, Retry_After="3"
                )
                return
            if _count(faults.denied, request):
                self._sends(403, {"error": {"code": "AuthorizationFailed", "message": "no such role"}})
                return
            try:
                status, body = answer(azure, request)
            except Answered as e:
                status, body = e.status, e.body
            if _count(faults.lost, request):
                status, body = 500, {"error": {"code": "InternalServerError", "message": "lost"}}
        self._sends(status, body)

    def do_GET(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._handle()


class Identity(Handler):
    """The endpoint of a managed identity, as in App Service."""

    def do_GET(self) -> None:
        request = self._read()
        resource = request.one("resource")
        if self.headers.get("X-IDENTITY-HEADER") != self.azure.identity_header or not resource:
            self._sends(400, {"error": "invalid_request"})
            return
        self.azure.asked_for.append(resource)
        expires = str(int(time.time()) + 3_600)
        token = {"access_token": self.azure.token(), "expires_on": expires, "token_type": "Bearer"}
        self._sends(200, {**token, "resource": resource})


def _count(faults: dict[str, int], request: Request) -> bool:
    """Return whether a fault is left for the request, and count it."""
    for part, left in faults.items():
        if part in f"{request.method} {unquote(request.path)}" and left > 0:
            faults[part] = left - 1
            return True
    return False


@contextmanager
def azure_ml(folder: Path, azurite: Azurite | None = None) -> Iterator[AzureMl]:
    """Run a workspace. With Azurite it has a default datastore there, in a container of its own name."""
    azure = AzureMl()
    azure.ca_file, key = own_authority(folder, BLOB_HOST)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(azure.ca_file, key)
    with ExitStack() as running:
        arm = _server(running, type("OfArm", (Arm,), {"azure": azure}))
        arm.socket = context.wrap_socket(arm.socket, server_side=True, do_handshake_on_connect=False)
        identity = _server(running, type("OfIdentity", (Identity,), {"azure": azure}))
        azure.url = f"https://127.0.0.1:{arm.server_port}"
        azure.identity_url = f"http://127.0.0.1:{identity.server_port}/msi/token"
        for server in (arm, identity):
            _serving(running, server)
        if azurite is not None:
            port = running.enter_context(_tunnel(context, azurite.ports["azurite.blob"]))
            azure.storage_suffix = f"core.localhost:{port}"
            _container(azure, azurite)
        yield azure


def _container(azure: AzureMl, azurite: Azurite) -> None:
    """Make the default datastore: a container that no other test uses."""
    name = f"azureml-{secrets.token_hex(6)}"
    with ContainerClient.from_connection_string(azurite.connection_string, name) as container:
        container.create_container()
    key = azurite.connection_string.partition("AccountKey=")[2].partition(";")[0]
    azure.blob_datastore(name, key, ACCOUNT)
    azure.blob_url = azurite.url
    azure.storage = azurite.connection_string


def _server(running: ExitStack, handler: type[Handler]) -> Loopback:
    server = Loopback(("127.0.0.1", 0), handler)
    running.callback(server.server_close)
    return server


def _serving(running: ExitStack, server: Loopback) -> None:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    running.callback(thread.join)
    running.callback(server.shutdown)


@contextmanager
def _tunnel(context: ssl.SSLContext, port: int) -> Iterator[int]:
    """Take TLS connections for an account's host name to Azurite, which has none. Yield the port."""
    listening = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=_carry, args=(context, plain, port), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def _carry(context: ssl.SSLContext, plain: socket.socket, port: int) -> None:
    """Copy both directions. One thread reads and one writes each socket."""
    try:
        with (
            context.wrap_socket(plain, server_side=True) as client,
            socket.create_connection(("127.0.0.1", port)) as server,
        ):
            threading.Thread(target=_copy, args=(client, server), daemon=True).start()
            _copy(server, client)
    except OSError:
        return


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(PIECE):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


@contextmanager
def own_workspace(folder: Path, azurite: Azurite) -> Iterator[AzureMl]:
    """Run a workspace, with this process as its managed identity by Azure's own variables."""
    with azure_ml(folder, azurite) as found, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AZURE_")]:
            patch.delenv(name)
        for name, value in found.environment.items():
            patch.setenv(name, value)
        yield found
