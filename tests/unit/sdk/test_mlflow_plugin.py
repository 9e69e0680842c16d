"""The plug-in of MLflow's client, without MLflow: addresses, whose key it is, what a version gets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from regista.errors import Invalid, NotConfigured
from regista.mlflow_plugin import registration
from regista.mlflow_plugin.address import FilesUri, files_uri, registry_url, same_service
from regista.mlflow_plugin.connection import connection, own_connection

HEX = "ab" * 32


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("regista://registry.example.com", "https://registry.example.com"),
        ("regista://registry.example.com:8443/regista/", "https://registry.example.com:8443/regista"),
        ("regista+http://127.0.0.1:8001", "http://127.0.0.1:8001"),
        ("regista+http://[::1]:8001", "http://[::1]:8001"),
        ("regista://", ""),
    ],
)
def test_a_registry_uri_names_the_registry(uri: str, url: str) -> None:
    assert registry_url(uri) == url


@pytest.mark.parametrize(
    "uri",
    [
        "https://registry.example.com",
        "regista+ftp://a",
        "regista:///path",
        "regista://a?b=c",
        "regista://a:port",
        "regista://key:secret@registry.example.com",
    ],
)
def test_what_names_no_registry_or_has_a_secret_in_it_is_refused(uri: str) -> None:
    with pytest.raises(Invalid) as refused:
        registry_url(uri)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "files",
    [
        FilesUri("https://registry.example.com", HEX),
        FilesUri("http://127.0.0.1:8001/regista", f"{HEX}/a model/data"),
        FilesUri("https://registry.example.com", ""),
    ],
)
def test_the_uri_of_verified_files_is_read_back(files: FilesUri) -> None:
    assert files_uri(files.uri) == files


@pytest.mark.parametrize(
    ("path", "below", "found"),
    [
        (HEX, "", (f"sha256:{HEX}", "")),
        (f"{HEX}/data", "a b.bin", (f"sha256:{HEX}", "data/a b.bin")),
        ("", f"{HEX}/data/", (f"sha256:{HEX}", "data")),
    ],
)
def test_a_path_below_the_uri_is_a_path_in_the_artifact(path: str, below: str, found: Any) -> None:
    assert FilesUri("https://registry.example.com", path).at(below) == found


def test_a_path_without_a_digest_names_no_files() -> None:
    with pytest.raises(Invalid):
        FilesUri("https://registry.example.com", "").at("ab/c")


@pytest.mark.parametrize("uri", [f"https://a/sha256/{HEX}", "regista://a", f"regista:///sha256/{HEX}"])
def test_another_uri_names_no_files(uri: str) -> None:
    with pytest.raises(Invalid):
        files_uri(uri)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("https://Registry.example.com:443/", True),
        ("http://registry.example.com", False),
        ("https://registry.example.com:8443", False),
        ("https://registry.example.com/other", False),
    ],
)
def test_two_urls_are_the_same_service_by_scheme_host_port_and_path(other: str, same: bool) -> None:
    assert same_service("https://registry.example.com", other) is same


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("REGISTA_CONFIG", "/nowhere")
    monkeypatch.setenv("REGISTA_API_KEY", "rg_key")
    monkeypatch.delenv("REGISTA_URL", raising=False)
    return monkeypatch


def test_a_key_is_for_the_registry_of_its_profile_only(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("REGISTA_URL", "https://registry.example.com")
    assert connection("regista://registry.example.com").token() == "rg_key"
    with pytest.raises(NotConfigured, match=r"your profile's key is for https://registry\.example\.com"):
        connection("regista://elsewhere.example.com")


def test_a_profile_without_an_address_is_for_the_one_that_the_registry_uri_names(
    environment: pytest.MonkeyPatch,
) -> None:
    assert connection("regista://elsewhere.example.com").profile.url == "https://elsewhere.example.com"
    with pytest.raises(NotConfigured, match="REGISTA_URL is not set"):
        own_connection()
    environment.setenv("REGISTA_URL", "https://registry.example.com")
    assert connection("regista://") is own_connection()


RUN: dict[str, Any] = {
    "info": {"run_id": "0f3c", "experiment_id": "1", "start_time": 1_767_225_500_000},
    "data": {
        "params": [{"key": "C", "value": "0.1"}],
        "metrics": [{"key": "auc", "value": 0.9, "dataset_name": "holdout", "dataset_digest": "beef"}],
        "tags": [{"key": "mlflow.source.git.commit", "value": "a" * 40}],
    },
    "inputs": {
        "dataset_inputs": [
            {
                "dataset": {"name": "people", "digest": "cafe"},
                "tags": [{"key": "mlflow.data.context", "value": "training"}],
            }
        ]
    },
}
MLMODEL = b"""
flavors: {python_function: {python_version: 3.11.9}, sklearn: {sklearn_version: 1.7.0}}
signature: {inputs: '[{"type": "double", "name": "age"}]', outputs: '[{"type": "long"}]'}
utc_time_created: '2026-11-30 00:10:20'
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "MLmodel").write_bytes(MLMODEL)
    (tmp_path / "requirements.txt").write_text("# pinned\nscikit-learn==1.7.0\n-e .\npandas\n")
    return tmp_path


def test_a_version_gets_what_the_run_and_the_files_state(folder: Path) -> None:
    found = registration.metadata("https://mlflow.example.com", RUN, {}, folder, here=False)
    assert found["signature"]["inputs"] == [{"name": "age", "type": "double"}]
    assert found["training"] == {
        "config": {"C": "0.1"},
        "code": {"revision": "a" * 40},
        "dataset": {"name": "people", "digest": "mlflow:cafe"},
        "metrics": [
            {"name": "auc", "value": 0.9, "dataset_digest": "mlflow:beef", "dataset_name": "holdout"}
        ],
        "trained_at": "2026-11-30T00:10:20+00:00",
        "framework": {"name": "sklearn", "version": "1.7.0"},
        "environment": {"python": "3.11.9", "packages": {"scikit-learn": "1.7.0", "pandas": ""}},
        "run_url": "https://mlflow.example.com/#/experiments/1/runs/0f3c",
    }


def test_a_version_without_run_and_files_gets_nothing() -> None:
    assert registration.metadata("sqlite:///mlflow.db", {}, {}, None, here=False) == {}


def test_the_program_that_made_the_model_is_its_code(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "train.py"
    script.write_text("print(1)\n")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)
    code = registration.metadata("", RUN, {}, folder, here=True)["training"]["code"]
    assert code["revision"] == "a" * 40
    assert code["digest"].startswith("sha256:")
