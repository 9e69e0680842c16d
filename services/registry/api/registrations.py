"""Submit the registration of a version: Regista's own clients and MLflow's do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from services.registry.api.calls import check_parents, look_ups, readable
from services.registry.api.refusals import raise_refusal
from services.registry.domain.naming.name import is_model_id
from services.registry.trained_message import RegistrationMessage
from shared.deciding.decider import Unprocessable
from shared.deciding.submission import Outcome, Submission
from shared.http.routes import Call
from shared.log.transact import routed


async def submit_registration(
    call: Call[RegistrationMessage],
) -> tuple[Outcome, Callable[[], Awaitable[Submission]]]:
    """Submit the registration in the body. Return its outcome, and what makes the submission again.

    Raises Problem 422 with every reason when it is refused.
    """
    message, name = call.body, call.path["model"]
    if message.model not in {"", name} and not is_model_id(name):
        raise Unprocessable(
            "model_differs",
            f"The path names {name}, the body {message.model}: name the same model, or leave it out of the "
            "body.",
        )
    if is_model_id(name):
        await readable(call, name)
    await check_parents(call, message)
    cause = call.cause()

    async def build() -> Submission:
        creator = call.actor.on_behalf_of or call.actor.subject
        return await look_ups(call).registration(name, message, cause, call.actor, creator=creator)

    outcome = await routed(call.app.transactor, build)
    raise_refusal(outcome)
    return outcome, build
