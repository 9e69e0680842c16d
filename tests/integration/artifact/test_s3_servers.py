"""The ways in which S3 servers differ: addresses, credentials, encryption and tags."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from services.artifact.settings import ArtifactSettings
from services.artifact.stores import StoreUnavailable
from services.artifact.stores.s3 import S3Store
from services.audit.export.stores import S3Store as HistoryStore
from services.audit.export.stores import StoreUnavailable as HistoryUnavailable
from shared.foundation.s3 import S3Server
from shared.foundation.s3_client import client
from shared.foundation.settings import SettingsWrong
from tests.certificates import own_authority

CONTENT = b"weights" * 1000
KEYS = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>artifact</AccessKeyId>
<SecretAccessKey>{secret}</SecretAccessKey><SessionToken></SessionToken><Expiration>{until}</Expiration>
</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
NOTHING_LISTED = b"""<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>history</Name>
<IsTruncated>false</IsTruncated></ListBucketResult>"""
NOT_IMPLEMENTED = b"<Error><Code>NotImplemented</Code><Message>no such header</Message></Error>"

Answer = tuple[int, bytes]


async def pieces(content: bytes):
    yield content


@contextlib.contextmanager
def serving(
    answer: Callable[[BaseHTTPRequestHandler, bytes], Answer | None], tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Serve on a free port; yield `host:port`. An `answer` of None was sent by itself."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if (found := answer(self, body)) is None:
                return
            self.send_response(found[0])
            self.send_header("content-type", "application/xml")
            self.send_header("content-length", str(len(found[1])))
            self.end_headers()
            self.wfile.write(found[1])

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815 - names of http.server

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def without_tags(behind: str) -> Callable[[BaseHTTPRequestHandler, bytes], Answer | None]:
    """Forward to an S3 server, and refuse everything about tags, as stores without them do."""

    def answer(request: BaseHTTPRequestHandler, body: bytes) -> Answer | None:
        if "x-amz-tagging" in request.headers or "tagging" in parse_qs(
            urlsplit(request.path).query, keep_blank_values=True
        ):
            return 501, NOT_IMPLEMENTED
        connection = http.client.HTTPConnection(behind, timeout=30)
        connection.putrequest(cast("str", request.command), request.path, skip_host=True)
        for name, value in request.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        found = connection.getresponse()
        content = found.read()
        request.send_response(found.status)
        for name, value in found.getheaders():
            if name.lower() not in {"transfer-encoding", "content-length", "date", "server", "connection"}:
                request.send_header(name, value)
        length = found.getheader("content-length") if request.command == "HEAD" else str(len(content))
        request.send_header("content-length", length or "0")
        request.end_headers()
        request.wfile.write(content)
        connection.close()
        return None

    return answer


def key_of(stack: Any) -> tuple[str, str]:
    return "artifact", stack.folder.secret("s3-artifact")


async def test_a_store_without_object_tags_keeps_artifacts(stack: Any, folder: str) -> None:
    with serving(without_tags(stack.s3.endpoint)) as endpoint:
        store = S3Store(S3Server(endpoint, *key_of(stack)), "regista", with_tags=False)
        stored = await store.put(f"{folder}/a", pieces(CONTENT), {"state": "quarantined"})
        await store.copy(f"{folder}/a", f"{folder}/b", stored.etag, {"state": "verified"})
        await store.tag(f"{folder}/b", {"expires": "2027-01-01"})
        assert await store.tags(f"{folder}/b") == {}
        assert b"".join([piece async for piece in store.read(f"{folder}/b")]) == CONTENT
        await store.remove([f"{folder}/a", f"{folder}/b"])
        assert await store.keys(folder) == []


async def test_a_store_that_refuses_tags_names_the_setting(stack: Any, folder: str) -> None:
    with serving(without_tags(stack.s3.endpoint)) as endpoint:
        store = S3Store(S3Server(endpoint, *key_of(stack)), "regista")
        with pytest.raises(StoreUnavailable, match="REGISTA_S3_TAGS=false"):
            await store.put(f"{folder}/a", pieces(CONTENT), {"state": "quarantined"})


async def test_a_process_with_a_web_identity_uses_its_role_and_renews_it(
    stack: Any, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("a.b.c")
    asked: list[dict[str, list[str]]] = []

    def sts(request: BaseHTTPRequestHandler, _: bytes) -> Answer:
        asked.append(parse_qs(urlsplit(request.path).query))
        until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
        text = KEYS.format(secret=key_of(stack)[1], until=until.strftime("%Y-%m-%dT%H:%M:%SZ"))
        return 200, text.encode()

    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/regista")
    with serving(sts) as endpoint:
        settings = ArtifactSettings(s3_endpoint=stack.s3.endpoint, s3_sts_endpoint=f"http://{endpoint}")
        store = settings.store()
        await store.put(f"{folder}/a", pieces(CONTENT), {"state": "verified"})
        seen = len(asked)
        await store.remove([f"{folder}/a"])
    assert asked[0]["WebIdentityToken"] == ["a.b.c"]
    assert asked[0]["RoleArn"] == ["arn:aws:iam::1:role/regista"]
    assert len(asked) > seen, "the role was not renewed after it had expired"


async def test_a_process_without_any_credentials_reports_what_to_set(
    stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "absent"))
    store = ArtifactSettings(s3_endpoint=stack.s3.endpoint, s3_sts_endpoint="http://127.0.0.1:9").store()
    with pytest.raises(StoreUnavailable, match="no credentials: set the access key"):
        await store.check()


def test_the_bucket_is_part_of_the_host_where_the_server_wants_it() -> None:
    server = S3Server("store.example:9000", "key", "secret", "token", virtual_host=True)
    url = urlsplit(client(server).presigned_get_object("models", "a/b"))
    assert (url.netloc, url.path) == ("models.store.example:9000", "/a/b")
    assert parse_qs(url.query)["X-Amz-Security-Token"] == ["token"]


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The certificate of a server on loopback, which this process trusts."""
    certificate, key = own_authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_what_is_stored_is_encrypted_by_the_key_of_the_settings(tls: ssl.SSLContext) -> None:
    sent: list[tuple[str, Any]] = []

    def answer(request: BaseHTTPRequestHandler, _: bytes) -> Answer:
        if request.command == "GET":
            return 200, NOTHING_LISTED
        sent.append((cast("str", request.command), dict(request.headers.items())))
        return 501, NOT_IMPLEMENTED

    with serving(answer, tls) as endpoint:
        server = S3Server(endpoint, "key", "secret", secure=True)
        with pytest.raises(StoreUnavailable):
            await S3Store(server, "models", kms_key="key-1").put("a", pieces(CONTENT), {})
        artifact = sent[0]
        history = HistoryStore(server, "history", kms_key="key-1")
        sent.clear()
        with pytest.raises(HistoryUnavailable, match="NotImplemented"):
            history.put("a", CONTENT)
        with pytest.raises(HistoryUnavailable):
            history.put_new("b", CONTENT)
    for command, headers in (artifact, sent[0], sent[-1]):
        found = {name.lower(): value for name, value in headers.items()}
        assert command in {"PUT", "POST"}
        assert found["x-amz-server-side-encryption"] == "aws:kms"
        assert found["x-amz-server-side-encryption-aws-kms-key-id"] == "key-1"


def test_a_write_on_a_condition_has_the_token_of_a_temporary_key() -> None:
    sent: list[dict[str, str]] = []

    def answer(request: BaseHTTPRequestHandler, _: bytes) -> Answer:
        if request.command == "GET":
            return 200, NOTHING_LISTED
        sent.append({name.lower(): value for name, value in request.headers.items()})
        return 412, b"<Error><Code>PreconditionFailed</Code></Error>"

    with serving(answer) as endpoint:
        server = S3Server(endpoint, "key", "secret", "of-an-hour")
        assert HistoryStore(server, "history").put_new("checkpoint", CONTENT) is False
    assert (sent[0]["x-amz-security-token"], sent[0]["if-none-match"]) == ("of-an-hour", "*")
    assert "x-amz-security-token" in sent[0]["authorization"]


async def test_a_process_in_a_container_uses_the_role_of_the_container(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[str] = []
    until = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    role = {"AccessKeyId": "of-the-role", "SecretAccessKey": "s", "Token": "t", "Expiration": until}

    def container(request: BaseHTTPRequestHandler, _: bytes) -> Answer:
        return 200, json.dumps(role | {"Code": "Success"}).encode()

    def store(request: BaseHTTPRequestHandler, _: bytes) -> Answer:
        sent.append(request.headers["authorization"])
        return 403, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"

    with serving(container) as roles, serving(store) as endpoint:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://{roles}/role")
        with pytest.raises(StoreUnavailable):
            await ArtifactSettings(s3_endpoint=endpoint).store().check()
    assert "Credential=of-the-role/" in sent[0]


def test_a_key_without_its_secret_and_encryption_without_tls_are_wrong_settings() -> None:
    with pytest.raises(SettingsWrong, match="REGISTA_S3_SECRET_KEY is required"):
        ArtifactSettings(s3_endpoint="store:1", s3_access_key="key").store()
    with pytest.raises(SettingsWrong, match="set REGISTA_S3_SECURE=true"):
        ArtifactSettings(s3_endpoint="store:1", s3_kms_key="key-1").store()
