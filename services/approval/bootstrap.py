"""Publish the built-in policies at the first start."""

from __future__ import annotations

from services.approval.domain import policy
from services.approval.domain.builtin_policies import BUILTIN
from services.approval.domain.policy_checks import checked
from shared.deciding.events import Actor
from shared.deciding.submission import Cause, Submission, request_digest
from shared.http.app import App


async def publish_builtin(app: App) -> None:
    """Publish each built-in policy unless there is a policy of its name."""
    for name, document in BUILTIN.items():
        command = policy.PublishPolicy(name, document, builtin=True)
        digest = checked(document)
        cause = Cause("approval/builtin", f"{name}@{digest}", request_digest(digest))
        await app.transactor.submit(
            Submission(command, (policy.stream_of(name), policy.ALL), cause, Actor("system:approval"))
        )
