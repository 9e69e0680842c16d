"""Every change that takes an optional reason takes it from the client and from the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from regista.client.sync_client import Client

from .conftest import Answers

OPENAPI = Path(__file__).parents[3] / "schemas" / "public" / "openapi"
WHY = "because of the audit"
IDENTITY, ISSUER = "/access/identities/{subject}", "/issuers/{key}"
DEAD = "regista.training.v1.dlq~0~17"
Offered = tuple[Callable[[Client], Any], str]
"""How the client sends it, and which command does."""

OFFERED: dict[tuple[str, str], Offered] = {
    ("POST", "/access/identities"): (
        lambda c: c.create_identity("u-1", "person", reason=WHY),
        "access identity create u-1 --kind person",
    ),
    ("POST", f"{IDENTITY}/keys"): (lambda c: c.issue_key("u-1", reason=WHY), "access key issue u-1"),
    ("DELETE", f"{IDENTITY}/keys/{{key_id}}"): (
        lambda c: c.revoke_key("u-1", "K1", WHY),
        "access key revoke u-1 K1",
    ),
    ("PUT", f"{IDENTITY}/members"): (lambda c: c.add_member("g", "u-1", WHY), "access group add g u-1"),
    ("DELETE", f"{IDENTITY}/members"): (
        lambda c: c.remove_member("g", "u-1", WHY),
        "access group remove g u-1",
    ),
    ("PUT", f"{IDENTITY}/roles"): (
        lambda c: c.grant("u-1", "auditor", "*", WHY),
        "access grant u-1 auditor --everywhere",
    ),
    ("DELETE", f"{IDENTITY}/roles"): (
        lambda c: c.revoke_role("u-1", "auditor", "*", WHY),
        "access ungrant u-1 auditor --everywhere",
    ),
    ("POST", "/trusts"): (
        lambda c: c.add_trust("https://x", {"repository": "a/b"}, "publisher:ci", ["fraud"], reason=WHY),
        "access trust add --issuer https://x --claim repository=a/b --publisher ci --namespace fraud",
    ),
    ("POST", "/issuers"): (
        lambda c: c.trust_issuer("https://x", reason=WHY),
        "access issuer trust https://x",
    ),
    ("POST", f"{ISSUER}/groups"): (
        lambda c: c.map_group("g", "auditor", "*", reason=WHY),
        "access group map g auditor --everywhere",
    ),
    ("DELETE", f"{ISSUER}/groups"): (
        lambda c: c.unmap_group("g", "auditor", "*", reason=WHY),
        "access group unmap g auditor --everywhere",
    ),
    ("POST", "/dlq/{id}:replay"): (lambda c: c.replay(DEAD, WHY), f"dlq replay {DEAD}"),
    ("POST", "/models/{model}/rollouts/{environment}"): (
        lambda c: c.change_rollout("churn", [], reason=WHY),
        "rollout split churn 3=100",
    ),
    ("POST", "/models/{model}/versions/{version}:describe"): (
        lambda c: c.describe("churn@3", description="x", reason=WHY),
        "versions edit churn@3 --description x",
    ),
    ("POST", "/models/{model}/versions/{version}:promote"): (
        lambda c: c.promote("churn@3", reason=WHY),
        "promote churn@3",
    ),
    ("PUT", "/models/{model}/versions/{version}/notes/{note}"): (
        lambda c: c.correct_note("churn@3", 1, "x", reason=WHY),
        "versions correct-note churn@3 1 x",
    ),
    ("PUT", "/policies/{name}"): (
        lambda c: c.publish_policy("p", {}, reason=WHY),
        "policy publish p {file} --yes",
    ),
    ("POST", "/policies/{name}:confirm"): (
        lambda c: c.confirm_policy("p", 7, WHY),
        "policy confirm p --revision 7",
    ),
    ("PUT", "/retention/{model}"): (
        lambda c: c.set_retention("churn", {}, reason=WHY),
        "cleanup retention churn --unused 9d --yes",
    ),
    ("DELETE", "/retention/{model}"): (
        lambda c: c.remove_retention("churn", reason=WHY),
        "cleanup retention churn --inherit --yes",
    ),
    ("PUT", "/retention-defaults/{namespace}"): (
        lambda c: c.set_default_retention("fraud", {}, reason=WHY),
        "cleanup retention --namespace fraud --unused 9d --yes",
    ),
    ("DELETE", "/retention-defaults/{namespace}"): (
        lambda c: c.set_default_retention("fraud", None, reason=WHY),
        "cleanup retention --namespace fraud --off --yes",
    ),
}
NOT_OFFERED = {
    ("POST", "/models/{model}/mlflow"),
    ("POST", "/models/{model}/versions/{version}/mlflow"),
    ("POST", "/models/{model}/versions/{version}/mlflow:describe"),
}
"""Requests of the service mlflow: the client has no call for them."""
ANSWER: dict[str, Any] = {
    "items": [{"key": "k", "issuer": "https://x", "trusted": True, "groups": [], "namespace": "fraud"}],
    "next_page_token": "",
    "subject": "u-1",
    "key_id": "K2",
    "api_key": "rg_K2_x",
    "algorithm": "hmac-sha256",
    "expires_at": None,
    "revision": 7,
    "proposal": {"revision": 7, "proposed_by": "root", "policy": {}},
    "policy": {},
    "source": "model",
    "versions": [],
    "weaker": [],
    "second_admin": False,
    "models": [],
    "models_changed": 0,
    "reviews": [],
    "reviews_changed": 0,
    "entries": [],
    "number": 3,
    "promotion_id": "p1",
}
ANSWER["items"][0] |= {"policy": {}, "revision": 7}
EACH = pytest.mark.parametrize("wanted", OFFERED, ids=" ".join)


def taking_a_reason() -> Iterator[tuple[str, str]]:
    """The endpoints whose reason is optional, of all services."""
    for file in OPENAPI.glob("*.json"):
        document = json.loads(file.read_text("utf-8"))
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if _optional(operation, document["components"]["schemas"]):
                    yield method.upper(), path.removeprefix("/v1")


def _optional(operation: dict[str, Any], shapes: dict[str, Any]) -> bool:
    named = [one for one in operation.get("parameters", ()) if one["name"] == "reason"]
    if named:
        return not named[0].get("required")
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    shape = content.get("schema", {})
    shape = shapes[shape["$ref"].rpartition("/")[2]] if "$ref" in shape else shape
    return "reason" in shape.get("properties", {}) and "reason" not in shape.get("required", ())


def reasons(answers: Answers, wanted: tuple[str, str]) -> list[str]:
    """The reasons that arrived at the endpoint."""
    path = re.compile("/v1" + re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(wanted[1])))
    sent = [one for one in answers.seen if one.method == wanted[0] and path.fullmatch(one.path)]
    bodies = [json.loads(one.body) if one.body else {} for one in sent]
    return [one.query.get("reason") or body.get("reason", "") for one, body in zip(sent, bodies, strict=True)]


def test_every_endpoint_with_an_optional_reason_is_named_above():
    assert set(taking_a_reason()) == OFFERED.keys() | NOT_OFFERED


@EACH
def test_the_client_sends_a_reason(answers: Answers, client: Client, wanted: tuple[str, str]) -> None:
    answers.any = ANSWER
    OFFERED[wanted][0](client)
    assert reasons(answers, wanted) == [WHY]


@EACH
def test_the_command_line_sends_a_reason(
    answers: Answers, run: Any, tmp_path: Path, wanted: tuple[str, str]
) -> None:
    answers.any = ANSWER
    file = tmp_path / "policy.json"
    file.write_text("{}")
    done = run(*OFFERED[wanted][1].format(file=file).split(), "--reason", WHY, "--json")
    assert reasons(answers, wanted) == [WHY], done.output
