"""Services that restart and connections that break off: the client goes on where it stopped."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse

from regista.client.patience import Failures, Patience
from regista.client.profile import Profile
from regista.client.sync_client import Client
from regista.client.transport import Transport
from regista.errors import Damaged, RegistaError, Unavailable
from regista.loading.cache import Cache
from regista.wire.digests import FileEntry, Manifest

from .conftest import QUICK, Answers, problem

CONTENT = bytes(n % 251 for n in range(300_000))
ENTRY = FileEntry("model.onnx", len(CONTENT), sha256(CONTENT).hexdigest())
MANIFEST = Manifest((ENTRY,))


@dataclass
class Store:
    """An artifact service whose connections break after `breaks_after` bytes. `ranges`: it answers ranges."""

    breaks_after: int
    ranges: bool = True
    content: bytes = CONTENT
    url: str = ""
    requests: list[dict[str, str]] = field(default_factory=list)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(headers)
        start = int(headers.get("range", "bytes=0-")[6:-1]) if self.ranges else 0
        body = self.content[start:]
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(body)))
        if start:
            whole = len(self.content)
            request.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        request.end_headers()
        request.wfile.write(body[: self.breaks_after])
        if len(body) > self.breaks_after:
            request.wfile.flush()
            request.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def serving(store: Store) -> Iterator[Store]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            store.answer(self)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    store.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def _fetched(profile: Profile, answers: Answers, store: Store) -> bytes:
    answers.fixed["GET", "/.well-known/regista"] = JSONResponse({"artifact": store.url})
    transport = Transport(profile, QUICK)
    try:
        return (await Cache(profile.cache, transport).fetch(MANIFEST) / "model.onnx").read_bytes()
    finally:
        await transport.close()


async def test_a_download_that_breaks_off_again_and_again_goes_on_where_it_stopped(
    profile: Profile, answers: Answers
) -> None:
    with serving(Store(breaks_after=20_000)) as store:
        assert await _fetched(profile, answers, store) == CONTENT
    starts = [int(request.get("range", "bytes=0-")[6:-1]) for request in store.requests]
    assert starts == sorted(set(starts))
    assert len(starts) >= len(CONTENT) // 20_000
    assert {request["if-match"] for request in store.requests} == {f'"{ENTRY.sha256}"'}
    assert {request["accept-encoding"] for request in store.requests} == {"identity"}


async def test_a_service_without_ranges_sends_the_whole_file_again(
    profile: Profile, answers: Answers
) -> None:
    store = Store(breaks_after=20_000, ranges=False)

    def answer(request: BaseHTTPRequestHandler) -> None:
        if len(store.requests) == 2:
            store.breaks_after = len(CONTENT)
        Store.answer(store, request)

    with serving(store):
        store.answer = answer  # type: ignore[method-assign]
        assert await _fetched(profile, answers, store) == CONTENT
    assert len(store.requests) == 3


async def test_a_file_put_together_from_other_parts_is_not_believed(
    profile: Profile, answers: Answers
) -> None:
    with (
        serving(Store(breaks_after=20_000, content=CONTENT[:-1] + b"x")) as store,
        pytest.raises(Damaged, match="not the file that was registered"),
    ):
        await _fetched(profile, answers, store)
    assert [p for p in profile.cache.rglob("*") if p.is_file()] == []


async def test_a_download_that_makes_no_progress_ends(profile: Profile, answers: Answers) -> None:
    with (
        serving(Store(breaks_after=0)) as store,
        pytest.raises(Unavailable, match="broke off after 0 of 300,000 bytes"),
    ):
        await _fetched(profile, answers, store)
    assert len(store.requests) == QUICK.attempts


def test_a_service_that_is_busy_for_many_attempts_is_waited_for(
    profile: Profile, answers: Answers, tmp_path: Path
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"onnx")
    answers.given["POST", "/v1/uploads"] = [problem(503, "starting") for _ in range(30)]
    patience = Patience(first=0.001, longest=0.002, total=30)
    with Client(profile, patience=patience) as client:
        assert client.upload(tmp_path / "model.onnx")["files"][0]["size"] == 4
    assert len(answers.of("POST", "/v1/uploads")) == 31


def test_an_artifact_service_that_restarts_during_an_upload_is_waited_for(
    profile: Profile, answers: Answers, tmp_path: Path
) -> None:
    """Its port is closed for a while; then it answers there."""
    (tmp_path / "model.onnx").write_bytes(b"onnx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    answers.fixed["GET", "/.well-known/regista"] = JSONResponse({"artifact": f"http://127.0.0.1:{port}"})
    refused = threading.Event()
    waits = Failures.wait

    async def wait(self: Failures, error: RegistaError, *rest: Any) -> None:
        refused.set()
        await waits(self, error, *rest)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(404, '{"code": "no_such_route", "status": 404}')

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            answer = f'{{"location": "u", "sha256": "{sha256(body).hexdigest()}", "size": {len(body)}}}'
            self.answer(201, answer)

        def answer(self, status: int, body: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    def restart() -> None:
        refused.wait(10)
        with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
            server.timeout = 10
            server.handle_request()
            server.handle_request()

    thread = threading.Thread(target=restart)
    thread.start()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Failures, "wait", wait)
        with Client(profile, patience=Patience(first=0.05, total=30)) as client:
            assert client.upload(tmp_path / "model.onnx")["location"] == "u"
    thread.join()


def test_the_time_promised_is_the_time_waited(profile: Profile, answers: Answers) -> None:
    answers.given["GET", "/v1/models"] = [problem(503, "starting") for _ in range(10_000)]
    patience = Patience(first=0.001, longest=0.01, total=0.5)
    with Client(profile, patience=patience) as client, pytest.raises(Unavailable, match="starting"):
        client.models()
    assert len(answers.of("GET", "/v1/models")) > 6


def test_the_default_patience_has_no_limit_but_its_time() -> None:
    assert (Patience().attempts, Patience().total) == (0, 60.0)
    assert Patience(longest=0.01).pause(5_000, None) <= 0.01
