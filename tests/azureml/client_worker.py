"""Run Microsoft's own client, azure-ai-ml, against the workspace of the tests, as a user's script does.

It runs in an environment of its own and imports nothing of the project. It reads acts as JSON from its
standard input, one a line, and answers each with a line of JSON.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from typing import Any

RESOLVE = socket.getaddrinfo


def resolve(host: Any, *more: Any, **options: Any) -> Any:
    """Names below localhost are this machine, also where no resolver of the system does that."""
    own = isinstance(host, str) and host.endswith(".localhost")
    return RESOLVE("127.0.0.1" if own else host, *more, **options)


socket.getaddrinfo = resolve

from azure.ai.ml import MLClient  # noqa: E402
from azure.ai.ml.entities import Model  # noqa: E402
from azure.core.credentials import AccessToken  # noqa: E402


class Given:
    """A credential that has one token."""

    def get_token(self, *_scopes: str, **_more: Any) -> AccessToken:
        return AccessToken(os.environ["TOKEN"], int(time.time()) + 3_600)


def shown(model: Any) -> dict[str, Any]:
    fields = ("name", "version", "description", "tags", "properties", "stage", "type", "path", "flavors")
    facts = {name: getattr(model, name, None) for name in (*fields, "job_name", "latest_version")}
    made = model.creation_context
    return facts | {"created_by": made.created_by, "created_at": str(made.created_at)}


def act(client: MLClient, wanted: dict[str, Any]) -> Any:
    kind, models = wanted.pop("act"), client.models
    if kind == "create":
        return shown(models.create_or_update(Model(**wanted)))
    if kind == "get":
        return shown(models.get(**wanted))
    if kind == "list":
        return [shown(one) for one in models.list(**wanted)]
    if kind == "datastore":
        found = client.datastores.get_default()
        return {"name": found.name, "account": found.account_name, "container": found.container_name}
    if kind == "workspace":
        found = client.workspaces.get(wanted["name"])
        return {"name": found.name, "location": found.location}
    getattr(models, kind)(**wanted)
    return None


def main() -> None:
    output, sys.stdout = sys.stdout, sys.stderr  # the client prints its progress
    subscription, group, workspace = sys.argv[1:4]
    client = MLClient(Given(), subscription, group, workspace, enable_telemetry=False)
    for line in sys.stdin:
        try:
            answer = {"answer": act(client, json.loads(line))}
        except Exception as e:  # noqa: BLE001 - whatever the client raises is the answer
            answer = {"error": type(e).__name__, "message": str(e)}
        print(json.dumps(answer, default=str), file=output, flush=True)


main()
