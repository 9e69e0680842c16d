"""The command that asks gates again, with the streams it needs: whoever asks (a message, a person, a new policy), it is the same one."""

from __future__ import annotations

from collections.abc import Callable

from services.approval import queries
from services.approval.domain.promotion import Evaluate, Named
from shared.deciding.events import Actor
from shared.deciding.submission import Cause, Submission
from shared.http.app import App

OURSELVES = Actor("service:approval")


async def evaluation(app: App, model_id: str, number: int, cause: Callable[[str], Cause]) -> Submission:
    """For the gates of one version."""
    return _evaluation((model_id, number), await queries.streams_for(app.pool, model_id, number), cause)


async def evaluations(
    app: App, cause: Callable[[str], Cause], model_id: str | None = None
) -> list[Submission]:
    """For those of every open version: of one model, or of all."""
    versions = dict.fromkeys(await queries.open_versions(app.pool, model_id), ())
    return [
        _evaluation(version, named, cause)
        for version, named in (await queries.streams_for_all(app.pool, versions)).items()
    ]


def _evaluation(version: queries.Version, named: Named, cause: Callable[[str], Cause]) -> Submission:
    model_id, number = version
    return Submission(
        Evaluate(model_id, number),
        named.writes,
        cause(f"evaluate {model_id}@{number}"),
        OURSELVES,
        named.depends_on,
    )
