"""A registry with a certificate of a private authority: the error names it, and the setting that helps."""

from __future__ import annotations

import datetime as dt
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from regista.client.profile import Profile, read_profile
from regista.client.sync_client import Client
from regista.errors import NotConfigured, RegistaError
from tests.certificates import own_authority

from .conftest import QUICK


async def _answer(_request: Request) -> JSONResponse:
    return JSONResponse({"model": "churn", "number": 3})


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Any]:
    """Start a registry on HTTPS; return its URL and its certificate."""
    servers = []

    def started(ends: dt.timedelta = dt.timedelta(days=1)) -> tuple[str, Path]:
        certificate, key = own_authority(tmp_path, ends=ends)
        listener = socket.create_server(("127.0.0.1", 0))
        app = Starlette(routes=[Route("/{path:path}", _answer)])
        config = uvicorn.Config(
            app, log_level="critical", ws="none", lifespan="off", ssl_certfile=certificate, ssl_keyfile=key
        )
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, args=([listener],))
        thread.start()
        servers.append((server, thread, listener))
        return f"https://127.0.0.1:{listener.getsockname()[1]}", certificate

    yield started
    for server, thread, listener in servers:
        server.should_exit = True
        thread.join()
        listener.close()


def _version(profile: Profile) -> Any:
    with Client(profile, patience=QUICK) as client:
        return client.version("churn@3")


def test_a_certificate_that_is_not_trusted_is_named_with_the_setting_that_helps(
    profile: Profile, serve: Any
) -> None:
    url, _ = serve()
    with pytest.raises(NotConfigured, match=f"the certificate of the registry at {url} is not trusted") as e:
        _version(replace(profile, url=url))
    assert e.value.code == "certificate_refused"
    assert "REGISTA_CA_FILE" in e.value.advice


def test_the_authority_of_the_profile_is_trusted(profile: Profile, serve: Any) -> None:
    url, certificate = serve()
    assert _version(replace(profile, url=url, ca_file=str(certificate)))["number"] == 3


def test_a_certificate_that_has_ended_is_named_as_such(profile: Profile, serve: Any) -> None:
    url, certificate = serve(ends=-dt.timedelta(days=1))
    with pytest.raises(NotConfigured, match="expired"):
        _version(replace(profile, url=url, ca_file=str(certificate)))


def test_a_certificate_for_another_host_is_named_as_such(profile: Profile, serve: Any) -> None:
    url, certificate = serve()
    with pytest.raises(NotConfigured, match="localhost"):
        _version(replace(profile, url=url.replace("127.0.0.1", "localhost"), ca_file=str(certificate)))


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_authority_that_cannot_be_read_is_named(
    profile: Profile, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "own.pem"
    if content:
        file.write_text(content)
    with pytest.raises(NotConfigured, match=f"REGISTA_CA_FILE.*{file}"):
        _version(replace(profile, ca_file=str(file)))


def test_the_authority_comes_from_the_environment_or_the_profile(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[profiles.prod]\nurl = "https://r"\nca_file = "/etc/own.pem"\n')
    settings = {"REGISTA_CONFIG": str(config), "REGISTA_PROFILE": "prod"}
    assert read_profile(environment=settings).ca_file == "/etc/own.pem"
    assert read_profile(environment=settings | {"REGISTA_CA_FILE": "/other"}).ca_file == "/other"


def test_a_copy_in_the_cache_is_not_used_beside_a_certificate_that_is_refused(
    profile: Profile, serve: Any
) -> None:
    """Who can answer in the registry's place must not decide that an old copy is loaded."""
    url, _ = serve()
    with Client(replace(profile, url=url), patience=QUICK) as client:
        client.asynchronous._finder._confirmed.record(
            ["churn@3"], {"number": 3, "model": "churn"}, "sha256:0"
        )
        with pytest.raises(RegistaError, match="certificate_refused"):
            client.load("churn@3")
