"""The real `mlflow` client with its files in Regista: logged, verified, described and loaded."""

from __future__ import annotations

import hashlib

import httpx
import pytest

from regista.wire.digests import FileEntry, manifest_digest
from tests.integration.mlflow.conftest import MlflowClient
from tests.integration.sdk.conftest import House, until

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]
PROXY = "/api/2.0/mlflow-artifacts/artifacts"

LOG_MODEL = """
import pandas as pd
import mlflow.pyfunc
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

class Twice(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input * 2

experiment = mlflow.create_experiment(name, artifact_location=root + "/" + name)
columns = Schema([ColSpec("double", "age")])
frame = pd.DataFrame({"age": [1.0, 2.0]})
with mlflow.start_run(experiment_id=experiment):
    mlflow.pyfunc.log_model(name="model", python_model=Twice(), registered_model_name=name,
        signature=ModelSignature(columns, columns), pip_requirements=["pandas"])
"""


def test_a_logged_model_is_verified_described_and_loaded(
    mlflow: MlflowClient, house: House, lab_name: str
) -> None:
    mlflow(LOG_MODEL, name=lab_name, root=house.instance.urls["mlflow"] + PROXY)
    shown = mlflow("shown(client.get_model_version(name, 1))")
    assert (shown["status"], shown["version"]) == ("READY", "1")
    version = house.run("eng", "versions", "show", f"{lab_name}@1")
    assert version["artifact_state"] == "available"
    assert version["schema"]["inputs"][0]["name"] == "age"
    assert version["training"]["trained_at"]
    assert "artifact.digest" not in version["missing"]
    found = mlflow(
        """
        client.set_registered_model_alias(name, "best", 1)
        loaded = mlflow.pyfunc.load_model(f"models:/{name}@best")
        [client.get_model_version_download_uri(name, 1), loaded.predict(frame)["age"].tolist()]
        """
    )
    assert found[0].endswith(f"{PROXY}/regista/{version['artifact_digest'].removeprefix('sha256:')}")
    assert found[1] == [2.0, 4.0]


def test_a_folder_is_uploaded_listed_registered_and_downloaded(
    mlflow: MlflowClient, house: House, lab_name: str
) -> None:
    content = b"\x00weights" * 50_000
    (house.folder / "up" / "data").mkdir(parents=True, exist_ok=True)
    (house.folder / "up" / "MLmodel").write_text("flavors: {}\n")
    (house.folder / "up" / "data" / "weights.bin").write_bytes(content)
    found = mlflow(
        """
        from mlflow.artifacts import download_artifacts
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
        client.create_registered_model(name)
        repository = get_artifact_repository(root + "/" + name)
        repository.log_artifacts("up")
        listed = [[f.path, f.is_dir, f.file_size] for f in repository.list_artifacts()]
        below = [f.path for f in repository.list_artifacts("data")]
        version = client.create_model_version(name, root + "/" + name)
        folder = download_artifacts(f"models:/{name}/1")
        import hashlib, pathlib
        content = pathlib.Path(folder, "data", "weights.bin").read_bytes()
        [listed, below, version.status, hashlib.sha256(content).hexdigest()]
        """,
        name=lab_name,
        root=house.instance.urls["mlflow"] + PROXY,
    )
    assert found[:2] == [[["MLmodel", False, 12], ["data", True, None]], ["data/weights.bin"]]
    assert found[3] == hashlib.sha256(content).hexdigest()


def test_a_draft_gets_the_files_that_its_registrant_uploads_later_and_loads(
    house: House, lab_name: str
) -> None:
    front, name = house.instance.urls["mlflow"], lab_name
    api, version = f"{front}/api/2.0/mlflow", {"name": name, "version": "1"}
    eng, ci = ({"authorization": f"Bearer {house.people[one].api_key}"} for one in ("eng", "ci"))
    shown = ("versions", "show", f"{name}@1")
    with httpx.Client(headers=eng) as client:
        for path, body in {
            "registered-models/create": {"name": name},
            "model-versions/create": {"name": name, "source": f"mlflow-artifacts:/{name}"},
        }.items():
            assert client.post(f"{api}/{path}", json=body).status_code == 200
        located = client.get(f"{api}/model-versions/get-download-uri", params=version).json()
        assert located == {"artifact_uri": f"mlflow-artifacts:/{name}"}
        assert client.put(f"{front}{PROXY}/{name}/data/weights.bin", content=b"late").status_code == 200
        httpx.get(f"{api}/model-versions/get-download-uri", params=version, headers=ci).raise_for_status()
        assert house.run("eng", *shown)["artifact"] is None
        uri = client.get(f"{api}/model-versions/get-download-uri", params=version).json()["artifact_uri"]
        assert client.get(f"{uri}/data/weights.bin").content == b"late"
    assert [one["path"] for one in house.run("eng", *shown)["artifact"]["files"]] == ["data/weights.bin"]


def test_a_draft_is_described_for_who_registered_it_and_no_reader_becomes_its_maker(
    house: House, name: str
) -> None:
    front, registry, artifact = (house.instance.urls[one] for one in ("mlflow", "registry", "artifact"))
    eng, bob, ci = ({"authorization": f"Bearer {house.people[one].api_key}"} for one in ("eng", "bob", "ci"))
    shown = ("versions", "show", f"{name}@1")
    read = f"{front}/api/2.0/mlflow/model-versions/get?name={name}&version=1"
    signature = b"signature: {inputs: [{type: long, name: a}], outputs: [{type: long}]}\n"
    with httpx.Client(headers=eng) as client:
        assert client.put(f"{front}{PROXY}/{name}/MLmodel", content=signature).status_code == 200
        uploaded = client.get(f"{artifact}/v1/uploads", params={"folder": f"mlflow/{name}"}).json()
        files = [FileEntry(one["path"], one["size"], one["sha256"]) for one in uploaded["files"]]
        made = {
            "digest": manifest_digest(files),
            "files": uploaded["files"],
            "location": uploaded["location"],
        }
        body = {"draft": True, "external": {"uri": f"mlflow-artifacts:/{name}"}, "artifact": made}
        for path, sent in {"": {"name": name}, f"/{name}/versions": body}.items():
            got = client.post(
                f"{registry}/v1/models{path}", json=sent, headers={"idempotency-key": name + path}
            )
            assert got.is_success, got.text

        for reader in (ci, bob):  # the first may complete versions, the second may not
            until(lambda of=reader: httpx.get(read, headers=of).json()["model_version"]["status"] == "READY")
        assert "signature" in house.run("eng", *shown)["missing"]
        assert client.get(read).status_code == 200
    until(lambda: "signature" not in house.run("eng", *shown)["missing"])
    assert house.run("eng", *shown)["schema"]["inputs"][0]["name"] == "a"


def test_files_are_read_only_once_a_version_has_them(house: House, lab_name: str) -> None:
    root = house.instance.urls["mlflow"] + PROXY
    headers = {"authorization": f"Bearer {house.people['eng'].api_key}"}
    with httpx.Client(headers=headers) as client:
        path = f"{root}/{lab_name}/a.bin"
        assert client.put(path, content=b"abc").status_code == 200
        got = client.get(path)
        assert (got.status_code, got.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
        assert client.delete(path).status_code == 403
        for wrong in (f"{root}/{lab_name}/..%2f..%2fx", f"{root}/{lab_name}/%2e%2e/x"):
            assert client.put(wrong, content=b"x").status_code == 400
        assert client.put(f"{root}/regista/{'0' * 64}/a", content=b"x").status_code == 400
        assert client.get(f"{root}/regista/{'0' * 64}/a").status_code == 404


def test_multipart_uploads_and_presigned_urls_are_refused_in_the_words_that_clients_know(
    house: House,
) -> None:
    base = house.instance.urls["mlflow"] + "/api/2.0/mlflow-artifacts"
    headers = {"authorization": f"Bearer {house.people['eng'].api_key}"}
    created = httpx.post(f"{base}/mpu/create/x", json={"path": "x"}, headers=headers)
    assert (created.status_code, created.json()["error_code"]) == (501, "NOT_IMPLEMENTED")
    known = "Multipart upload is not supported for the current artifact repository"
    assert created.json()["message"].startswith(known)
    assert httpx.get(f"{base}/presigned/x/y", headers=headers).status_code == 501


def test_a_range_of_a_verified_file_is_downloaded(mlflow: MlflowClient, house: House, lab_name: str) -> None:
    root = house.instance.urls["mlflow"] + PROXY
    headers = {"authorization": f"Bearer {house.people['eng'].api_key}"}
    with httpx.Client(headers=headers) as client:
        client.put(f"{root}/{lab_name}/a.bin", content=b"0123456789")
        mlflow("client.create_registered_model(name); None", name=lab_name)
        uri = mlflow(
            "client.create_model_version(name, source); client.get_model_version_download_uri(name, 1)",
            source=f"{root}/{lab_name}",
        )
        got = client.get(f"{uri}/a.bin", headers={"range": "bytes=2-4"})
        assert (got.status_code, got.content, got.headers["content-range"]) == (206, b"234", "bytes 2-4/10")


def test_a_source_in_the_proxy_without_files_is_refused(
    mlflow: MlflowClient, house: House, lab_name: str
) -> None:
    with pytest.raises(Exception, match="You have uploaded no files there"):
        mlflow(
            "client.create_registered_model(name); client.create_model_version(name, source)",
            name=lab_name,
            source=house.instance.urls["mlflow"] + PROXY + "/nothing/here",
        )


def test_a_source_in_the_proxy_of_another_server_is_recorded_and_given_back(
    mlflow: MlflowClient, lab_name: str
) -> None:
    sources = [
        "mlflow-artifacts:/0/0a1b/artifacts/old",
        f"http://runs.example.com{PROXY}/0/0a1b/artifacts/old",
    ]
    found = mlflow(
        """
        client.create_registered_model(name)
        made = [client.create_model_version(name, source) for source in sources]
        [[one.status for one in made], [client.get_model_version_download_uri(name, n) for n in (1, 2)]]
        """,
        name=lab_name,
        sources=sources,
    )
    assert found == [["READY", "READY"], sources]
