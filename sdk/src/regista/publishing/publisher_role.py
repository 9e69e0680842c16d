"""Ask the registry before the first byte is sent whether the publisher may register versions of the model."""

from __future__ import annotations

import contextlib
from urllib.parse import quote

from regista.client.patience import OPERATORS, patience
from regista.client.transport import Transport
from regista.errors import NotFound, Unavailable


async def check_role(transport: Transport, model: str, publisher: str) -> None:
    """Raise Forbidden unless the publisher ("" for the caller) may register versions of the model.

    A message on Kafka reaches the registry later, so one that does not answer now does not matter there.
    """
    query = {"publisher": publisher or None}
    path = f"/models/{quote(model, safe='')}/publisher"
    with patience(OPERATORS) if publisher else contextlib.nullcontext():
        try:
            await transport.call("GET", "registry", path, query=query)
        except NotFound as unknown:
            if unknown.code != "no_such_route":  # a registry of the release before has no such path
                raise
        except Unavailable:
            if not publisher:
                raise
