"""Look up the stream of a command before it is submitted."""

from __future__ import annotations

from services.artifact import queries
from services.artifact.domain.object_keys import BadLocation, hex_of
from shared.http.app import App
from shared.messaging.kafka import Malformed


async def digest_of(app: App, model_id: str, number: int, claimed: str | None) -> str | None:
    """Return the digest that a version was noted with, else the digest in the message (`claimed`), else None.

    Raises Malformed when the message names something else than a digest.
    """
    if noted := await queries.hex_of(app.pool, model_id, number):
        return f"sha256:{noted}"
    try:
        return f"sha256:{hex_of(claimed)}" if claimed else None
    except BadLocation as e:
        raise Malformed(str(e)) from e
