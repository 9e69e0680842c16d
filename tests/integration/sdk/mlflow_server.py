"""A real MLflow server in an environment of its own, and how tests fill it: by its REST API."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from services.local.folders import free_ports
from tests import environments

VERSION, OLDEST = "3.17.2", "3.12.0"
PACKAGES = ("mlflow", "mlflow-skinny", "mlflow-tracing")
OF_A_SERVER = (
    "aiohttp alembic cachetools click cloudpickle cryptography databricks-sdk fastapi Flask Flask-CORS "
    "gitpython graphene gunicorn huey importlib_metadata numpy opentelemetry-api opentelemetry-proto "
    "opentelemetry-sdk packaging pandas protobuf pydantic python-dotenv pyyaml requests sqlalchemy "
    "sqlparse typing-extensions uvicorn"
)
"""What a server imports. Only clients need SciPy, Arrow, Matplotlib and Docker."""
OF_A_CLIENT = "scikit-learn"
SDK = Path(__file__).parents[3] / "sdk"
PAUSE = threading.Event()
STARTS_WITHIN = 120.0  # seconds; the first start makes the tables


def environment(version: str = VERSION) -> Path:
    """Return the Python of the environment with this MLflow, and with what the client of Regista imports."""
    own = tomllib.loads((SDK / "pyproject.toml").read_text())["project"]["dependencies"]
    others = [*OF_A_SERVER.split(), *OF_A_CLIENT.split(), *own]
    return environments.environment(
        f"mlflow-{version}", others, [f"{package}=={version}" for package in PACKAGES]
    )


@dataclass
class Mlflow:
    """A running MLflow server."""

    url: str
    folder: Path

    def post(self, path: str, **body: Any) -> Any:
        answer = httpx.post(f"{self.url}/api/2.0/mlflow/{path}", json=body, timeout=60)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    def get(self, path: str, **query: Any) -> Any:
        answer = httpx.get(f"{self.url}/api/2.0/mlflow/{path}", params=query, timeout=60)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    def file(self, path: str) -> bytes:
        answer = httpx.get(f"{self.url}/api/2.0/mlflow-artifacts/artifacts/{path}", timeout=60)
        assert answer.status_code == 200, (path, answer.text)
        return answer.content

    def model(self, name: str, description: str = "", tags: Mapping[str, str] | None = None) -> str:
        self.post("registered-models/create", name=name, description=description, tags=pairs(tags))
        return name

    def run(self, **more: Any) -> str:
        """A finished run with everything that a version needs; keyword arguments replace parts of it."""
        facts = {
            "params": {"C": "0.1"},
            "tags": {
                "mlflow.source.git.commit": "a" * 40,
                "mlflow.source.git.repoURL": "https://git.example.com/r",
            },
            "metrics": [{"key": "auc", "value": 0.9, "timestamp": 1_767_225_600_000, "step": 0}],
            "dataset": {"name": "people", "digest": "cafe1234", "source_type": "local", "source": "{}"},
        } | more
        run = self.post(
            "runs/create",
            experiment_id="0",
            user_id="alice",
            start_time=1_767_225_000_000,
            tags=pairs(facts["tags"]),
        )["run"]["info"]["run_id"]
        self.post(
            "runs/log-batch", run_id=run, metrics=facts["metrics"], params=pairs(facts["params"]), tags=[]
        )
        if facts["dataset"]:
            tags = [{"key": "mlflow.data.context", "value": "training"}]
            self.post("runs/log-inputs", run_id=run, datasets=[{"dataset": facts["dataset"], "tags": tags}])
        self.post("runs/update", run_id=run, status="FINISHED", end_time=1_767_225_600_000)
        return str(run)

    def log(self, run: str, files: Mapping[str, bytes]) -> str:
        """Store the files as the artifact `model` of the run, and return its URI."""
        for path, content in files.items():
            at = f"{self.url}/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/model/{path}"
            assert httpx.put(at, content=content, timeout=60).status_code == 200
        return f"mlflow-artifacts:/0/{run}/artifacts/model"

    def version(self, name: str, source: str, run: str | None = None, **more: Any) -> str:
        tags = pairs(more.pop("tags", None))
        body = {"name": name, "source": source, "run_id": run, "tags": tags, **more}
        return str(self.post("model-versions/create", **body)["model_version"]["version"])

    def trained(self, name: str, seed: int = 1, run: Mapping[str, Any] | None = None, **more: Any) -> str:
        """A version with a run, an MLmodel and bytes that depend on the seed."""
        id_ = self.run(**(run or {}))
        source = self.log(id_, {"MLmodel": MLMODEL, "model.bin": model_bytes(seed), "data/x.txt": b"x"})
        return self.version(name, source, id_, **more)

    def logged(self, name: str, run: str, files: Mapping[str, bytes], **more: Any) -> str:
        """A version as clients of MLflow 3 make it: of a logged model, which has its own folder."""
        made = self.post("logged-models", experiment_id="0", name="model", source_run_id=run, **more)[
            "model"
        ]["info"]
        folder = made["artifact_uri"].removeprefix("mlflow-artifacts:/")
        for path, content in files.items():
            at = f"{self.url}/api/2.0/mlflow-artifacts/artifacts/{folder}/{path}"
            assert httpx.put(at, content=content, timeout=60).status_code == 200
        return self.version(name, f"models:/{made['model_id']}", run, model_id=made["model_id"])

    def alias(self, name: str, alias: str, version: str) -> None:
        self.post("registered-models/alias", name=name, alias=alias, version=version)

    def stage(self, name: str, version: str, stage: str) -> None:
        self.post("model-versions/transition-stage", name=name, version=version, stage=stage)


MLMODEL = yaml.safe_dump(
    {
        "flavors": {
            "python_function": {"python_version": "3.11.9", "loader_module": "mystery"},
            "mystery": {"mystery_version": "4.2"},
        },
        "mlflow_version": VERSION,
        "signature": {
            "inputs": '[{"type": "double", "name": "age", "required": true}]',
            "outputs": '[{"type": "long", "name": "label", "required": true}]',
        },
    }
).encode()


def model_bytes(seed: int) -> bytes:
    return hashlib.sha256(str(seed).encode()).digest() * 100


def pairs(values: Mapping[str, str] | None) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in (values or {}).items()]


@contextmanager
def mlflow_server(folder: Path) -> Iterator[Mlflow]:
    """Run a server on SQLite and a folder, which proxies its artifacts."""
    python, port = environment(), free_ports({"mlflow": 0})["mlflow"]
    folder.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{port}"
    command = [python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        f"{folder}/files",
    ]
    silent = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [*map(str, command), *stores],
            stdout=log,
            stderr=log,
            cwd=folder,
            env={**os.environ, **silent},
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + STARTS_WITHIN
        while not _answers(url):
            assert server.poll() is None, (folder / "server.log").read_text()[-3000:]
            assert time.monotonic() < deadline, (folder / "server.log").read_text()[-3000:]
            PAUSE.wait(0.1)
        yield Mlflow(url, folder)
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
