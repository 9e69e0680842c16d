"""A model, its versions and rollouts as they were: the answers of then have the shapes of those of now."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.registry.conftest import trained
from tests.integration.registry.test_serving import promoted

pytestmark = pytest.mark.servers
MODEL = "/models/team.churn"
FIRST = f"{MODEL}/versions/1"
EVERY = (MODEL, FIRST, f"{MODEL}/versions/2", f"{MODEL}/versions", f"{MODEL}/rollouts")


async def then(client: Any, path: str, at: str) -> Any:
    answer = await client.get(path, params={"as_of": at})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _history(registry: Any, senders: Any, client: Any) -> str:
    """A version that serves; then much that changes it and its model. Return the moment between."""
    await promoted(registry, senders, client, 1)
    await client.post(f"{FIRST}/notes", json={"text": "made by night"})
    moment = _now()
    metric = {"name": "auc", "value": 0.8, "dataset_digest": "sha256:t1", "independent": True}
    async with registry.client("eva") as eva, registry.client("ann") as ann:
        await client.patch(MODEL, json={"tier": "high", "tags": {"team": "risk"}}, headers={"if-match": "*"})
        await eva.post(f"{FIRST}/evaluations", json=metric)
        await eva.post(f"{FIRST}:describe", json={"description": "May", "set_tags": {"data": "may"}})
        correction = {"fields": {"training.run_url": "http://runs/2"}, "reason": "wrong run"}
        await eva.post(f"{FIRST}:correct", json=correction)
        await client.put(f"{FIRST}/notes/1", json={"text": "made by day"})
        await ann.post(f"{FIRST}/notes", json={"text": "looked at"})
        await eva.put(f"{MODEL}/aliases/best", json={"number": 1}, headers={"if-match": "*"})
        await promoted(registry, senders, client, 2, dataset={"name": "other", "digest": "sha256:d2"})
        split = [
            {"number": 1, "percent": 60, "role": "champion"},
            {"number": 2, "percent": 40, "role": "challenger"},
        ]
        await eva.post(f"{MODEL}/rollouts/production", json={"entries": split}, headers={"if-match": "*"})
        await client.post(f"{MODEL}/versions", json=trained(artifact=3, config={"depth": 3}))
        await client.post(f"{FIRST}:withdraw", json={"reason": "poisoned"})
    return moment


def with_times(value: Any) -> Any:
    """Return the answer with its times as such: PostgreSQL writes them in another form."""
    if isinstance(value, dict):
        return {name: with_times(one) for name, one in value.items()}
    if isinstance(value, list):
        return [with_times(one) for one in value]
    with suppress(ValueError):
        return datetime.fromisoformat(value) if isinstance(value, str) else value
    return value


def _now() -> str:
    return datetime.now(UTC).isoformat()


async def test_an_answer_of_now_is_the_same_as_the_present_one(registry, senders):
    async with registry.client("root") as client:
        moment = await _history(registry, senders, client)
        for path in EVERY:
            present = (await client.get(path)).json()
            if "withdrawn_ancestors" in present:  # is not known of another moment, not even of this one
                present["withdrawn_ancestors"] = None
            for at in (_now(), datetime.now(UTC).date().isoformat()):
                assert with_times(await then(client, path, at)) == with_times(present), path

        version = await then(client, FIRST, moment)
        assert (version["stage"], version["withdrawn"], version["description"]) == ("Production", None, "")
        assert [n["text"] for n in version["notes"]] == ["made by night"]
        assert (version["evaluations"], version["aliases"], version["corrections"]) == ([], [], [])
        assert (await then(client, f"{MODEL}/versions/@production", moment))["number"] == 1
        assert (await then(client, f"{MODEL}/versions/@latest", moment))["number"] == 1
        model = await then(client, MODEL, moment)
        assert (model["tier"], model["newest"], model["production"]) == ("medium", 1, 1)
        (rollout,) = (await then(client, f"{MODEL}/rollouts", moment))["items"]
        assert [(e["number"], e["percent"]) for e in rollout["entries"]] == [(1, 100)]
        (line,) = (await then(client, f"{MODEL}/versions", moment))["items"]
        assert line["primary_metric"]["value"] == 0.9
        await _what_cannot_be_answered(registry, client, moment)
        await _the_list_of_models(client, moment)


async def _the_list_of_models(client: Any, moment: str) -> None:
    await client.post("/models", json={"name": "team.later"})
    (line,) = (await then(client, "/models", moment))["items"]
    assert with_times(line) == with_times(await then(client, MODEL, moment))
    present = (await client.get("/models")).json()
    assert [one["model"] for one in present["items"]] == ["team.churn", "team.later"]
    assert with_times(await then(client, "/models", _now())) == with_times(present)
    at = {"as_of": _now(), "page_size": "1"}
    first = (await client.get("/models", params=at)).json()
    assert [one["model"] for one in first["items"]] == ["team.churn"]
    rest = (await client.get("/models", params=at | {"page_token": first["next_page_token"]})).json()
    assert [one["model"] for one in rest["items"]] == ["team.later"]


async def _what_cannot_be_answered(registry: Any, client: Any, moment: str) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    for path, at, status, code in (
        (f"{MODEL}/versions/2", moment, 404, "unknown_version"),
        (f"{MODEL}/versions/@best", moment, 404, "unknown_version"),
        (MODEL, "2020-01-01", 404, "not_registered_yet"),
        (MODEL, later, 422, "moment_in_the_future"),
        (MODEL, "yesterday", 422, "invalid_query"),
        (f"{MODEL}/versions?stage=Draft", moment, 422, "as_of_with_conditions"),
        ("/models?tier=high", moment, 422, "as_of_with_conditions"),
    ):
        joined = "&" if "?" in path else "?"
        answer = await client.get(f"{path}{joined}as_of={at.replace('+', '%2B')}")
        assert (answer.status_code, answer.json()["code"]) == (status, code), path
    async with registry.client("eve") as stranger:
        for path in EVERY:
            assert (await stranger.get(path, params={"as_of": moment})).status_code == 404
