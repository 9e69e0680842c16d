"""The real `mlflow` client on Regista: models, versions, tags, searches."""

from __future__ import annotations

import time
import uuid

import httpx
import pytest

from tests.integration.mlflow.conftest import ClientError, MlflowClient
from tests.integration.sdk.conftest import House

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]


def refused(mlflow: MlflowClient, program: str, **names: object) -> ClientError:
    with pytest.raises(ClientError) as raised:
        mlflow(program, **names)
    return raised.value


def test_a_model_is_created_read_described_and_tagged(mlflow: MlflowClient, name: str) -> None:
    before = int(time.time() * 1000) - 1000
    made = mlflow("shown(client.create_registered_model(name, {'team': 'crm'}, 'who leaves'))", name=name)
    assert (made["name"], made["description"], made["tags"]) == (name, "who leaves", {"team": "crm"})
    assert before < made["creation_timestamp"] <= made["last_updated_timestamp"]
    changed = mlflow(
        """
        client.update_registered_model(name, "who leaves, and when")
        client.set_registered_model_tag(name, "task", 7)
        client.delete_registered_model_tag(name, "team")
        client.delete_registered_model_tag(name, "never set")
        shown(client.get_registered_model(name))
        """
    )
    assert (changed["description"], changed["tags"]) == ("who leaves, and when", {"task": "7"})
    assert changed["last_updated_timestamp"] > made["creation_timestamp"]


def test_errors_have_mlflows_codes(mlflow: MlflowClient, name: str) -> None:
    mlflow("client.create_registered_model(name); None", name=name)
    cases = {
        "client.create_registered_model(name)": "RESOURCE_ALREADY_EXISTS",
        "client.get_registered_model('crm.none')": "RESOURCE_DOES_NOT_EXIST",
        "client.get_registered_model('a/b')": "INVALID_PARAMETER_VALUE",
        "client.create_registered_model('')": "INVALID_PARAMETER_VALUE",
        "client.create_registered_model('crm..b')": "INVALID_PARAMETER_VALUE",
        "client.create_registered_model(name + 'x', {'regista.stage': 'x'})": "INVALID_PARAMETER_VALUE",
        "client.create_model_version('crm.none', 's3://b/a')": "RESOURCE_DOES_NOT_EXIST",
        "client.get_model_version(name, 7)": "RESOURCE_DOES_NOT_EXIST",
        "client.get_model_version(name, 'x')": "INVALID_PARAMETER_VALUE",
        "client.get_model_version_by_alias(name, 'none')": "INVALID_PARAMETER_VALUE",
        "client.search_registered_models('owner = 1')": "INVALID_PARAMETER_VALUE",
        "client.search_registered_models(page_token='x')": "INVALID_PARAMETER_VALUE",
        "client.rename_registered_model(name, 'other.name')": "INVALID_PARAMETER_VALUE",
        "client.get_latest_versions(name, ['prod'])": "INVALID_PARAMETER_VALUE",
    }
    found = {program: refused(mlflow, program).code for program in cases}
    assert found == cases


def test_a_version_of_a_missing_model_is_a_missing_version(house: House, name: str) -> None:
    got = httpx.get(
        house.instance.urls["mlflow"] + "/api/2.0/mlflow/model-versions/get",
        params={"name": name, "version": "1"},
        headers={"authorization": f"Bearer {house.people['eng'].api_key}"},
    )
    missing = f"Model Version (name={name}, version=1) not found: Registered Model with name={name} not found"
    assert (got.status_code, got.json()["message"]) == (404, missing)


def test_a_name_may_begin_with_any_letter_of_any_script(mlflow: MlflowClient, name: str) -> None:
    found = mlflow(
        """
        client.create_registered_model(name)
        client.create_model_version(name, "s3://b/a")
        [client.get_model_version(name, 1).name,
         [one.name for one in client.search_registered_models(f"name LIKE '{name[:-1]}%'")]]
        """,
        name=f"crm.模型{name}",
    )
    assert found == [f"crm.模型{name}", [f"crm.模型{name}"]]


def test_the_alias_latest_is_read_as_the_newest_version(mlflow: MlflowClient, name: str) -> None:
    mlflow("client.create_registered_model(name); None", name=name)
    read = "client.get_model_version_by_alias(name, 'Latest').version"
    assert refused(mlflow, read).code == "RESOURCE_DOES_NOT_EXIST"
    mlflow("for n in '12': client.create_model_version(name, 's3://b/' + n)")
    assert mlflow(read) == "2"


def test_a_model_and_a_prompt_do_not_share_a_name(mlflow: MlflowClient, name: str) -> None:
    mlflow("client.register_prompt(name, 'Hello {{who}}'); None", name=name)
    model = refused(mlflow, "client.create_registered_model(name)")
    assert (model.code, "already taken by a prompt" in model.text) == ("RESOURCE_ALREADY_EXISTS", True)
    assert mlflow("client.load_prompt(f'prompts:/{name}@latest').template") == "Hello {{who}}"


def test_a_version_is_a_draft_with_its_source_and_number(
    mlflow: MlflowClient, house: House, name: str
) -> None:
    made = mlflow(
        """
        client.create_registered_model(name)
        made = [client.create_model_version(name, "s3://bucket/a", run_id="run-" + n, tags={"n": n},
            run_link="http://runs/" + n, description="number " + n) for n in "12"]
        [shown(one) for one in made]
        """,
        name=name,
    )
    first = made[0]
    assert [one["version"] for one in made] == ["1", "2"]
    assert (first["source"], first["run_id"], first["run_link"]) == (
        "s3://bucket/a",
        "run-1",
        "http://runs/1",
    )
    assert (first["status"], first["current_stage"], first["description"]) == ("READY", "None", "number 1")
    assert first["tags"]["n"] == "1"
    assert first["tags"]["regista.stage"] == "Draft"
    assert "artifact.digest" in first["tags"]["regista.missing"]
    assert "regista versions complete" in first["status_message"]
    assert mlflow("client.get_model_version_download_uri(name, 2)") == "s3://bucket/a"
    shown = house.run("eng", "versions", "show", f"{name}@1")
    assert (shown["stage"], shown["external"]["uri"]) == ("Draft", "s3://bucket/a")


def test_the_same_call_twice_makes_two_versions_and_a_repeated_request_one(
    mlflow: MlflowClient, house: House, name: str
) -> None:
    mlflow("client.create_registered_model(name); None", name=name)
    numbers = mlflow("[client.create_model_version(name, 's3://b/a', run_id='r').version for _ in range(3)]")
    assert numbers == ["1", "2", "3"]
    url = house.instance.urls["mlflow"] + "/api/2.0/mlflow/model-versions/create"
    headers = {"authorization": f"Bearer {house.people['eng'].api_key}"}
    body = {"name": name, "source": f"s3://b/{uuid.uuid4()}"}
    with pytest.raises(httpx.TimeoutException):  # the answer is lost
        httpx.post(url, json=body, headers=headers, timeout=httpx.Timeout(5.0, read=0.0001))
    answers = [
        httpx.post(url, json=body, headers=headers).json()["model_version"]["version"] for _ in range(2)
    ]
    assert answers[0] == "4"
    assert answers[1] in {"4", "5"}  # 4 where the lost answer was noticed before it was sent


def test_descriptions_and_tags_of_versions_change(mlflow: MlflowClient, name: str) -> None:
    found = mlflow(
        """
        client.create_registered_model(name)
        client.create_model_version(name, "s3://b/a", tags={"a": "1"})
        client.update_model_version(name, 1, "new")
        client.set_model_version_tag(name, 1, "b", 2)
        client.delete_model_version_tag(name, 1, "a")
        client.delete_model_version_tag(name, 1, "none")
        shown(client.get_model_version(name, 1))
        """,
        name=name,
    )
    own = {key: value for key, value in found["tags"].items() if not key.startswith("regista.")}
    assert (found["description"], own) == ("new", {"b": "2"})
    assert refused(mlflow, "client.set_model_version_tag(name, 1, 'regista.stage', 'x')").code == (
        "INVALID_PARAMETER_VALUE"
    )


def test_a_renamed_model_has_its_new_name_only(mlflow: MlflowClient, name: str) -> None:
    found = mlflow(
        """
        client.create_registered_model(name)
        client.create_model_version(name, "s3://b/a")
        client.rename_registered_model(name, name + "-new")
        client.get_model_version(name + "-new", 1).name
        """,
        name=name,
    )
    assert found == f"{name}-new"
    mlflow("client.rename_registered_model(name + '-new', name + ' with blanks'); None")
    assert mlflow("client.get_model_version(name + ' with blanks', 1).name") == f"{name} with blanks"
    assert "its name is now" in refused(mlflow, "client.get_registered_model(name)").text


def test_models_are_searched_by_name_and_tag_page_by_page(mlflow: MlflowClient, name: str) -> None:
    found = mlflow(
        """
        for n in range(5):
            client.create_registered_model(f"{name}.n{n}", {"even": str(n % 2 == 0)})
        pages, token = [], None
        while True:
            page = client.search_registered_models(f"name LIKE '{name}.%'", max_results=2,
                order_by=["name DESC"], page_token=token)
            pages.append([one.name[-2:] for one in page])
            token = page.token
            if not token:
                break
        tagged = [one.name[-2:] for one in client.search_registered_models(
            f"name ILIKE '{name.upper()}.%' AND tags.even = 'True'")]
        pages, tagged
        """,
        name=name,
    )
    assert found == [[["n4", "n3"], ["n2", "n1"], ["n0"]], ["n0", "n2", "n4"]]


def test_versions_are_searched_by_name_run_source_number_and_tag(mlflow: MlflowClient, name: str) -> None:
    found = mlflow(
        """
        client.create_registered_model(name)
        for n in "123":
            client.create_model_version(name, "s3://b/" + n, run_id="run" + n, tags={"n": n})
        def numbers(text, **more):
            return [v.version for v in client.search_model_versions(f"name = '{name}'" + text, **more)]
        [numbers(""), numbers(" AND run_id IN ('run1', 'run3')", order_by=["version_number ASC"]),
         numbers(" AND version_number < 3"), numbers(" AND tags.n != '2'"),
         numbers(" AND source_path LIKE '%/2'"), numbers("", max_results=1)]
        """,
        name=name,
    )
    assert found == [["3", "2", "1"], ["1", "3"], ["2", "1"], ["3", "1"], ["2"], ["3"]]


def test_a_version_is_copied_to_another_model(mlflow: MlflowClient, name: str) -> None:
    found = mlflow(
        """
        client.create_registered_model(name)
        source = client.create_model_version(name, "s3://b/a", run_id="r")
        copy = client.copy_model_version(f"models:/{name}/1", name + "-copy")
        [copy.source, copy.run_id, client.get_model_version_download_uri(name + "-copy", 1)]
        """,
        name=name,
    )
    assert found == [f"models:/{name}/1", "r", "s3://b/a"]


def test_a_workspace_is_a_namespace(house: House, mlflow_python, mlflow: MlflowClient, name: str) -> None:
    space, _, inner = name.partition(".")
    url, key = house.instance.urls["mlflow"], house.people["eng"].api_key
    own = MlflowClient(mlflow_python, house.folder, url, "", MLFLOW_TRACKING_USERNAME=key.split("_")[1],
        MLFLOW_TRACKING_PASSWORD=key, MLFLOW_WORKSPACE=space)  # fmt: skip
    try:
        found = own(
            """
            from mlflow import MlflowClient
            client = MlflowClient()
            client.create_registered_model(inner)
            client.create_model_version(inner, "s3://b/a")
            found = client.search_registered_models(f"name = '{inner}'")
            [client.get_model_version(inner, 1).name, [one.name for one in found]]
            """,
            inner=inner,
        )
    finally:
        own.close()
    assert found == [inner, [inner]]
    assert mlflow("client.get_registered_model(name).name", name=name) == name


def test_no_key_and_a_wrong_key_are_401_and_an_unknown_path_is_404(house: House) -> None:
    url = house.instance.urls["mlflow"]
    path = "/api/2.0/mlflow/registered-models/search"
    for headers in ({}, {"authorization": "Bearer rg_no_key"}, {"authorization": "Basic !"}):
        got = httpx.get(url + path, headers=headers)
        assert (got.status_code, got.json()["error_code"]) == (401, "UNAUTHENTICATED")
    got = httpx.post(url + "/api/2.0/mlflow/runs/create", json={})
    assert (got.status_code, got.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND")
    assert [
        httpx.get(url + p).status_code
        for p in ("/health", "/version", "/api/3.0/mlflow/server-info", "/readyz")
    ] == [200] * 4


def test_the_same_requests_are_served_below_ajax_api(house: House, mlflow: MlflowClient, name: str) -> None:
    mlflow("client.create_registered_model(name); None", name=name)
    got = httpx.get(
        house.instance.urls["mlflow"] + "/ajax-api/2.0/mlflow/registered-models/get",
        params={"name": name},
        headers={"authorization": f"Bearer {house.people['eng'].api_key}"},
    )
    assert got.json()["registered_model"]["name"] == name


def test_a_caller_sees_only_what_regista_shows_them(house: House, mlflow: MlflowClient, name: str) -> None:
    mlflow("client.create_registered_model(name); None", name=name)
    subject = f"person:{uuid.uuid4().hex[:8]}"
    house.run("admin", "access", "identity", "create", subject, "--kind", "person")
    house.run("admin", "access", "grant", subject, "publisher", "--namespace", "elsewhere")
    key = house.run("admin", "access", "key", "issue", subject)["api_key"]
    base = house.instance.urls["mlflow"] + "/api/2.0/mlflow/registered-models/"
    with httpx.Client(headers={"authorization": f"Bearer {key}"}) as other:
        assert other.get(base + "get", params={"name": name}).status_code == 404
        assert other.get(base + "search", params={"filter": f"name = '{name}'"}).json() == {
            "registered_models": []
        }
        got = other.post(base + "create", json={"name": "crm.foreign"})
        assert (got.status_code, got.json()["error_code"]) == (403, "PERMISSION_DENIED")
