"""A whole Regista, and the real `mlflow` client in an environment of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from regista.client.profile import Profile
from services.local import lifecycle
from services.local.folders import InstanceFolder
from services.local.instance import Instance
from tests.integration.sdk.conftest import House, _move_in
from tests.integration.sdk.mlflow_server import OLDEST, SDK, environment

WORKER = Path(__file__).with_name("client_worker.py")


@pytest.fixture(scope="session")
def mlflow_python() -> Path:
    """The interpreter of the environment with MLflow, made once and kept in the cache."""
    return environment()


@pytest.fixture(scope="session")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built and installed package of the client, with its entry points."""
    folder = tmp_path_factory.mktemp("sdk")
    copy, installed = folder / "source", folder / "installed"
    shutil.copytree(SDK, copy, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"))
    uv = [sys.executable, "-m", "uv", "--quiet", "pip", "install", "--python", sys.executable]
    subprocess.run([*uv, "--no-deps", "--no-build-isolation", "--target", installed, copy], check=True)
    return installed


@dataclass
class ClientError(Exception):
    """What the client raised: its class, MLflow's error code, its text."""

    raised: str
    code: str | None
    text: str


class MlflowClient:
    """The real client, in a process of its own."""

    def __init__(self, python: Path, folder: Path, url: str, key: str, **environment: str) -> None:
        own = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "MLFLOW_TRACKING_URI": (folder / "mlruns").as_uri(),
            "MLFLOW_ALLOW_FILE_STORE": "true",
            "MLFLOW_REGISTRY_URI": url,
            "MLFLOW_TRACKING_TOKEN": key,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
            "PYTHONWARNINGS": "ignore",
        }
        self._log = (folder / f"client-{uuid.uuid4().hex[:6]}.log").open("wb")
        self._process = subprocess.Popen(
            [str(python), str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=own | environment,
            cwd=folder,
            text=True,
        )

    def __call__(self, program: str, **names: Any) -> Any:
        """Run a program. Return the value of its last expression; raise ClientError for an exception."""
        given = "".join(f"{name} = {value!r}\n" for name, value in names.items())
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(given + textwrap.dedent(program)) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the client ended"
        got = json.loads(line)
        if "raised" in got:
            raise ClientError(got["raised"], got["code"], got["text"])
        return got["value"]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running Regista with people in it. `lab` has the mode `labels`; every other namespace is governed."""
    home_ = InstanceFolder.named(f"test-{os.getpid()}-mlflow")
    try:
        instance: Instance = lifecycle.start(home_, 180.0, lifecycle.Progress(output=lambda _: None))
        found = House(instance, tmp_path_factory.mktemp("mlflow"))
        admin = Profile(
            url=instance.urls["registry"],
            api_key=instance.identities.admin_key_file.read_text().strip(),
            cache_dir=str(found.folder / "cache"),
            usage_window=0,
        )
        found.people["admin"] = admin
        _move_in(found, admin)
        found.run("admin", "access", "grant", "person:eng", "publisher", "--everywhere")
        found.run("admin", "mlflow", "mode", "lab", "labels", "--reason", "the tests")
        yield found
    finally:
        lifecycle.stop(home_)
        shutil.rmtree(home_.directory, ignore_errors=True)


@pytest.fixture(scope="session")
def mlflow(house: House, mlflow_python: Path) -> Iterator[MlflowClient]:
    """The client of an engineer who may also publish. `client` and `ask` are its names."""
    client = MlflowClient(
        mlflow_python, house.folder, house.instance.urls["mlflow"], house.people["eng"].api_key
    )
    client(
        """
        import mlflow, json
        from mlflow import MlflowClient
        client = MlflowClient()
        def shown(thing):
            names = (name for name in dir(thing) if not name.startswith("_"))
            return {name: getattr(thing, name) for name in names if not callable(getattr(thing, name))}
        """
    )
    yield client
    client.close()


@pytest.fixture(scope="session")
def oldest(house: House) -> Iterator[MlflowClient]:
    """The oldest client that is supported, of the same engineer, with the address alone."""
    client = MlflowClient(
        environment(OLDEST), house.folder, house.instance.urls["mlflow"], house.people["eng"].api_key
    )
    yield client
    client.close()


@pytest.fixture(scope="session")
def plugin(house: House, mlflow_python: Path, sdk: Path) -> Iterator[MlflowClient]:
    """The client of the engineer with the plug-in. The key is in a profile, and none is for MLflow."""
    client = MlflowClient(mlflow_python, house.folder, **of_plugin(house, sdk))
    yield client
    client.close()


def of_plugin(house: House, sdk: Path) -> dict[str, str]:
    """The environment of a client with the plug-in."""
    registry = house.instance.urls["registry"]
    return {
        "url": registry.replace("http://", "regista+http://"),
        "key": "",
        "PYTHONPATH": str(sdk),
        "REGISTA_CONFIG": "/nowhere",
        "REGISTA_URL": registry,
        "REGISTA_API_KEY": house.people["eng"].api_key,
    }


@pytest.fixture
def name() -> str:
    """A model of this test, in a governed namespace."""
    return f"crm.m{uuid.uuid4().hex[:8]}"


@pytest.fixture
def lab_name() -> str:
    """A model of this test, in a namespace of the mode `labels`."""
    return f"lab.m{uuid.uuid4().hex[:8]}"
