"""The requests of MLflow's clients, sent to MLflow's server and to the front of Regista in one run."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from benchmarks import load

API = "/api/2.0/mlflow"
PAGE = 100
Request = Callable[[int], bytes]


class MlflowRequests:
    """Requests for one server. `key` is "" where none is needed. The models have the alias candidate."""

    def __init__(self, url: str, key: str, models: int) -> None:
        self._url, self._key, self._models = url, key, models
        self._made = itertools.count()

    def all(self) -> dict[str, Request]:
        """Return what is measured, by its name.

        New versions come last: in Regista other services work on them for some time after the answer.
        """
        return {
            "get a version by alias": lambda n: self._get(
                "registered-models/alias", name=self._name(n), alias="candidate"
            ),
            "get a registered model": lambda n: self._get("registered-models/get", name=self._name(n)),
            f"search {PAGE} versions": lambda _: self._get("model-versions/search", max_results=PAGE),
            "search versions of a model": lambda n: self._get(
                "model-versions/search", max_results=PAGE, filter=f"name='{self._name(n)}'"
            ),
            "set a tag of a version": self._set_tag,
            "create a version": self._create,
        }

    async def rates(self, connections: int, seconds: float) -> dict[str, float]:
        """Return answers a second of each request. Raises AssertionError unless all are 200."""
        found = {}
        for name, make in self.all().items():
            await load.run(self._url, make, connections, 1.0)
            found[name], statuses = await load.run(self._url, make, connections, seconds)
            if set(statuses) - {200}:
                raise AssertionError(f"{name}: unexpected answers: {dict(statuses)}")
        return found

    def _name(self, n: int) -> str:
        return f"bench.chain-{n % self._models}"

    def _create(self, n: int) -> bytes:
        body = {"name": self._name(n), "source": f"s3://models/{next(self._made)}", "run_id": f"run-{n}"}
        return self._request("POST", "model-versions/create", body)

    def _set_tag(self, n: int) -> bytes:
        body = {"name": self._name(n), "version": "1", "key": "checked", "value": str(n)}
        return self._request("POST", "model-versions/set-tag", body)

    def _get(self, path: str, **values: object) -> bytes:
        return self._request("GET", f"{path}?{urlencode(values)}")

    def _request(self, method: str, path: str, body: object = None) -> bytes:
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {API}/{path} HTTP/1.1\r\nhost: {urlsplit(self._url).netloc}\r\n"
        head += f"authorization: Bearer {self._key}\r\n" if self._key else ""
        head += f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        return head.encode() + content
