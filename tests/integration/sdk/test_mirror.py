"""A mirror to a real MLflow server: what is promoted here appears there, whatever fails between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from regista.errors import Forbidden, Invalid
from services.local.folders import free_ports
from services.local.processes import Child
from tests.faulty_proxy import Fault, FaultyProxy, faulty_proxy

from .conftest import House, _promote, trained, until
from .mirrors import mirrors
from .mlflow_server import Mlflow, mlflow_server

pytestmark = [
    pytest.mark.servers,
    pytest.mark.timeout(900),  # the first run installs MLflow
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]


@dataclass
class Mirror:
    """A mirror with the target `partners`, which is an MLflow server behind a proxy."""

    house: House
    mlflow: Mlflow
    proxy: FaultyProxy
    replica: Child
    folder: Path

    def publish(self, model: str, seed: int = 1, **more: Any) -> None:
        """Publish a version, which the gates then validate."""
        file = self.folder / f"{model}-{seed}.bin"
        file.write_bytes(f"{model} {seed}".encode() * 1000)
        with self.house.client("nightly") as client:
            made = client.publish(model, file, trained(seed), **more).wait(60)
            until(lambda: client.version(f"{model}@{made.number}")["stage"] == "Validated")

    def standing(self, model: str, number: int = 1) -> dict[str, Any]:
        """What `regista mirror status` shows of a version, {} before it is requested."""
        listed = self.house.run("eng", "mirror", "status", "partners")
        return next((v for v in listed if (v["model"], v["number"]) == (model, number)), {})

    def until_standing(self, model: str, status: str, number: int = 1) -> dict[str, Any]:
        return until(lambda: (s := self.standing(model, number)).get("status") == status and s)

    def there(self, model: str, number: int = 1) -> dict[str, Any]:
        """The version at MLflow, {} where it has none."""
        query = {"filter": f"name = '{model}'", "max_results": 100}
        answer = self.mlflow.get("model-versions/search", **query)
        for version in answer.get("model_versions", ()):
            tags = tags_of(version)
            if tags.get("regista.version") == str(number):
                one = self.mlflow.get("model-versions/get", name=model, version=version["version"])
                return one["model_version"]
        return {}

    def versions(self, model: str) -> list[dict[str, Any]]:
        """All versions of a registered model at MLflow."""
        query = {"filter": f"name = '{model}'", "max_results": 100}
        found: list[dict[str, Any]] = self.mlflow.get("model-versions/search", **query)["model_versions"]
        return found

    def target(self, name: str = "partners") -> dict[str, Any]:
        with self.house.client("eng") as client:
            return dict(client.mirror(name))

    def check(self, *words: str) -> tuple[int, dict[str, Any]]:
        """The exit code and the JSON of `regista mirror check partners`."""
        return mirrors(self.house, "check", "partners", *words)

    def shows(self, model: str, check: Callable[[dict[str, Any]], bool], number: int = 1) -> dict[str, Any]:
        try:
            return until(lambda: (v := self.there(model, number)) and check(v) and v)
        except AssertionError as never:
            log = self.house.instance.folder.log("mirror").read_text()[-3000:]
            never.add_note(f"{self.standing(model, number)}\n{self.there(model, number)}\n{log}")
            raise


def tags_of(version: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in version.get("tags", ())}


@pytest.fixture(scope="module")
def mirror(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    folder = tmp_path_factory.mktemp("mirror")
    with mlflow_server(folder / "mlflow") as mlflow, faulty_proxy(mlflow.url) as proxy:
        settings = house.instance.folder.subfolder("mirrors") / "partners.toml"
        settings.write_text(f'url = "{proxy.url}"\n')
        found = Mirror(house, mlflow, proxy, house.instance.launch("mirror"), folder)
        try:
            until(lambda: _set(house))
            yield found
        finally:
            found.replica.kill()
            found.replica.popen.wait()


def _answers(house: House) -> bool:
    try:
        return httpx.get(f"{house.instance.urls['mirror']}/readyz", timeout=5).is_success
    except httpx.TransportError:
        return False


def _set(house: House) -> bool:
    """Set the target as soon as the process answers."""
    return mirrors(house, "target", "set", "partners", "--kind", "mlflow")[0] == 0


@pytest.fixture(autouse=True)
def answering(mirror: Mirror) -> Iterator[None]:
    yield
    mirror.proxy.faults.clear()


def test_a_promotion_appears_with_approvers_digest_and_bytes(mirror: Mirror) -> None:
    mirror.publish("crm.seen")
    _promote(mirror.house, "crm.seen@1", "bob", "eve")
    version = mirror.shows("crm.seen", lambda v: "production" in v.get("aliases", ()))
    tags = tags_of(version)
    with mirror.house.client("eng") as client:
        ours = client.version("crm.seen@1")
    assert version["current_stage"] == "Production"
    assert tags["regista.stage"] == "Production"
    assert tags["regista.artifact"] == ours["artifact_digest"]
    assert "Bob" in tags["regista.approvals"]
    assert "Eve" in tags["regista.approvals"]
    path = version["source"].removeprefix("mlflow-artifacts:/")
    assert mirror.mlflow.file(f"{path}/crm.seen-1.bin") == b"crm.seen 1" * 1000
    assert mirror.until_standing("crm.seen", "mirrored")["address"] == "models:/crm.seen/1"


def test_a_draft_and_a_version_in_staging_are_not_mirrored(mirror: Mirror) -> None:
    with mirror.house.client("nightly") as client:
        client.publish("crm.early", draft=True, via="http").wait()
    mirror.publish("crm.later")
    mirror.shows("crm.later", lambda v: tags_of(v)["regista.stage"] == "Validated")
    assert mirror.standing("crm.early") == {}


def test_an_alias_that_moves_is_shown_on_one_version(mirror: Mirror) -> None:
    mirror.publish("crm.alias")
    mirror.publish("crm.alias", 2)
    mirror.house.run("eng", "alias", "set", "crm.alias@1", "candidate")
    mirror.shows("crm.alias", lambda v: v.get("aliases") == ["candidate"])
    mirror.house.run("eng", "alias", "set", "crm.alias@2", "candidate")
    mirror.shows("crm.alias", lambda v: v.get("aliases") == ["candidate"], 2)
    mirror.until_standing("crm.alias", "mirrored")
    assert mirror.there("crm.alias").get("aliases", []) == []


def test_a_withdrawn_version_is_marked_there_and_loses_its_aliases(mirror: Mirror) -> None:
    mirror.publish("crm.gone")
    mirror.house.run("eng", "alias", "set", "crm.gone@1", "candidate")
    mirror.shows("crm.gone", lambda v: v.get("aliases") == ["candidate"])
    mirror.house.run("eng", "withdraw", "crm.gone@1", "--reason", "leaks")
    version = mirror.shows("crm.gone", lambda v: not v.get("aliases"))
    assert tags_of(version)["regista.status"] == "withdrawn: leaks"
    assert version["current_stage"] == "Archived"


def test_what_was_changed_there_by_hand_is_reported_and_repaired(mirror: Mirror) -> None:
    mirror.publish("crm.drift")
    version = mirror.shows("crm.drift", lambda v: v["current_stage"] == "Staging")
    mirror.until_standing("crm.drift", "mirrored")
    mirror.mlflow.stage("crm.drift", version["version"], "Production")
    mirror.mlflow.alias("crm.drift", "blessed", version["version"])
    code, found = mirror.check()
    drifted = {d["field"]: d["found"] for v in found["drifted"] for d in v["differences"]}
    assert (code, drifted) == (1, {"current_stage": "Production", "aliases": "blessed"})
    assert mirror.check("--repair")[0] == 0
    mirror.shows("crm.drift", lambda v: v["current_stage"] == "Staging" and not v.get("aliases"))
    assert mirror.until_standing("crm.drift", "mirrored")["differences"] == []
    assert mirror.check()[0] == 0


def test_a_target_that_breaks_off_in_the_middle_gets_the_version_later_and_once(mirror: Mirror) -> None:
    mirror.proxy.faults.append(Fault("PUT", "mlflow-artifacts", 0))
    mirror.publish("crm.cut")
    version = mirror.shows("crm.cut", lambda v: tags_of(v)["regista.stage"] == "Validated")
    assert mirror.until_standing("crm.cut", "mirrored")["address"] == f"models:/crm.cut/{version['version']}"
    assert version["version"] == "1"


def test_an_error_after_success_makes_no_second_version(mirror: Mirror) -> None:
    mirror.proxy.faults.append(Fault("POST", "model-versions/create", 500, after=True))
    mirror.publish("crm.once")
    mirror.until_standing("crm.once", "mirrored")
    assert len(mirror.versions("crm.once")) == 1
    assert mirror.proxy.faults[0].left == 0


def test_an_expired_token_is_a_failure_that_names_the_remedy_and_ends_with_a_new_one(mirror: Mirror) -> None:
    mirror.proxy.faults.append(Fault("POST", "registered-models/create", 401, left=1))
    mirror.publish("crm.token")
    failed = until(lambda: (s := mirror.standing("crm.token")).get("attempts") and s)
    assert (failed["status"], failed["code"]) == ("due", "unavailable")
    assert "Renew the token" in failed["detail"]
    assert "Renew the token" in mirror.target()["failure"]
    mirror.until_standing("crm.token", "mirrored")
    assert mirror.target()["failure"] is None


def test_a_busy_target_is_left_alone_as_long_as_it_states(mirror: Mirror) -> None:
    busy = Fault("POST", "registered-models/create", 429, headers={"Retry-After": "3"})
    mirror.proxy.faults.append(busy)
    mirror.publish("crm.busy")
    failed = until(lambda: (s := mirror.standing("crm.busy")).get("attempts") and s)
    later = mirror.target()["next_at"]
    rest = datetime.fromisoformat(later) - datetime.fromisoformat(failed["at"])
    assert 2.9 <= rest.total_seconds() <= 3.1
    mirror.until_standing("crm.busy", "mirrored")


def test_two_replicas_write_a_version_once(mirror: Mirror) -> None:
    port = free_ports({"http": 0})["http"]
    other = mirror.house.instance.launch("mirror", HTTP_PORT=str(port))
    try:
        for n in range(3):
            mirror.publish(f"crm.two{n}")
        for n in range(3):
            mirror.until_standing(f"crm.two{n}", "mirrored")
            assert len(mirror.versions(f"crm.two{n}")) == 1
    finally:
        other.kill()
        other.popen.wait()


def test_a_process_that_is_killed_while_it_copies_leaves_one_version(mirror: Mirror) -> None:
    go_on = threading.Event()
    held = Fault("POST", "model-versions/set-tag", 0, then=go_on)
    created = Fault("PATCH", "model-versions/update", 0, then=go_on)
    create = Fault("POST", "model-versions/create", 0, then=go_on)
    mirror.proxy.faults += [held, created, create]
    mirror.publish("crm.killed")
    assert create.held.wait(60)
    mirror.replica.kill()
    mirror.replica.popen.wait()
    go_on.set()
    mirror.replica = mirror.house.instance.launch("mirror")
    until(lambda: _answers(mirror.house))
    mirror.shows("crm.killed", lambda v: tags_of(v)["regista.stage"] == "Validated")
    mirror.until_standing("crm.killed", "mirrored")
    assert len(mirror.versions("crm.killed")) == 1


def test_a_version_that_is_withdrawn_while_it_is_copied_ends_withdrawn_there(mirror: Mirror) -> None:
    go_on = threading.Event()
    create = Fault("POST", "model-versions/create", 0, then=go_on)
    mirror.proxy.faults.append(create)
    mirror.publish("crm.late")
    assert create.held.wait(60)
    mirror.house.run("eng", "withdraw", "crm.late@1", "--reason", "leaks")
    until(lambda: mirror.standing("crm.late").get("detail") == "VersionRecalled")
    go_on.set()
    mirror.shows("crm.late", lambda v: tags_of(v)["regista.status"] == "withdrawn: leaks")


def test_a_model_of_others_with_the_same_name_is_a_failure_until_it_is_given_to_the_mirror(
    mirror: Mirror,
) -> None:
    mirror.mlflow.model("crm.taken")
    mirror.publish("crm.taken")
    failed = mirror.until_standing("crm.taken", "failed")
    assert failed["code"] == "refused"
    assert "that is not this mirror's" in failed["detail"]
    tag = {"key": "regista.model_id", "value": failed["model_id"]}
    mirror.mlflow.post("registered-models/set-tag", name="crm.taken", **tag)
    mirror.check("--repair")
    mirror.until_standing("crm.taken", "mirrored")


def test_a_target_that_is_set_later_gets_what_was_registered_before(mirror: Mirror) -> None:
    mirror.publish("crm.before")
    settings = mirror.house.instance.folder.subfolder("mirrors") / "others.toml"
    settings.write_text(f'url = "{mirror.proxy.url}"\nprefix = "others."\n')
    words = ("mirror", "target", "set", "others", "--kind", "mlflow", "--namespace", "crm")
    mirror.house.run("admin", *words)
    mirror.shows("others.crm.before", lambda v: tags_of(v)["regista.model"] == "crm.before")
    until(lambda: mirror.target("others")["surveyed"])
    mirror.house.run("admin", "mirror", "target", "remove", "others")
    assert [t["target"] for t in mirror.house.run("eng", "mirror", "status")] == ["partners"]


def test_only_an_admin_of_the_namespaces_sets_and_removes_targets(mirror: Mirror) -> None:
    with mirror.house.client("eng") as client:
        for forbidden in (
            lambda: client.set_mirror("others", "mlflow", namespaces=["crm"]),
            lambda: client.remove_mirror("partners"),
            lambda: client.check_mirror("partners", repair=True),
        ):
            with pytest.raises(Forbidden):
                forbidden()


def test_settings_that_are_wrong_are_named_before_anything_is_recorded(mirror: Mirror) -> None:
    folder = mirror.house.instance.folder.subfolder("mirrors")
    (folder / "wrong.toml").write_text('url = "https://m.example"\npasswort = "geheim"\n')
    with mirror.house.client("admin") as client:
        with pytest.raises(Invalid, match="passwort") as named:
            client.set_mirror("wrong", "mlflow")
        assert "geheim" not in str(named.value)
        with pytest.raises(Invalid, match=r"absent\.toml"):
            client.set_mirror("absent", "mlflow")
