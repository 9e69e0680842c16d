"""What people do to a version: request promotion, reject, withdraw, hold, note."""

from __future__ import annotations

from services.console.calls import model_path
from services.console.pages.version import VERSION
from services.console.rendering import url
from services.console.view import Act, Do, Done, View


def _place(view: View) -> tuple[str, str, str]:
    """Return the version's path at the registry, its page, and how a notice names it."""
    name, number = view.param("model"), view.param("number")
    return model_path(name, "versions", number), url("models", name, "versions", number), f"{name} #{number}"


async def request_promotion(view: View) -> Done:
    path, page, named = _place(view)
    body = {
        "reason": view.text("reason"),
        "environment": view.text("environment") or "production",
        "serve": bool(view.text("serve")),
    }
    got = await view.calls.send("POST", "registry", f"{path}:promote", body, key=view.text("key"))
    return Done(
        page, f"You requested the promotion of {named} to {got['environment']}. Its gates are assessed now."
    )


async def add_note(view: View) -> Done:
    path, page, named = _place(view)
    await view.calls.send(
        "POST", "registry", f"{path}/notes", {"text": view.text("text")}, key=view.text("key")
    )
    return Done(page, f"Your note on {named} is recorded.")


async def assess_again(view: View) -> Done:
    path, page, named = _place(view)
    await view.calls.send("POST", "approval", f"{path}/gates:evaluate", key=view.text("key"))
    return Done(page, f"The gates of {named} are assessed again.")


def _decide(what: str, notice: str) -> Do:
    """Return an act that sends a reason to `:<what>` of the version."""

    async def act(view: View) -> Done:
        path, page, named = _place(view)
        body = {"reason": view.text("reason")}
        await view.calls.send("POST", "registry", f"{path}:{what}", body, key=view.text("key"))
        return Done(page, notice.format(named))

    return act


ACTS = (
    Act(f"{VERSION.path}/promote", request_promotion, VERSION),
    Act(f"{VERSION.path}/note", add_note, VERSION),
    Act(f"{VERSION.path}/assess", assess_again, VERSION),
    Act(f"{VERSION.path}/reject", _decide("reject", "You rejected {}."), VERSION),
    Act(f"{VERSION.path}/withdraw", _decide("withdraw", "You withdrew {}."), VERSION),
    Act(f"{VERSION.path}/reinstate", _decide("reinstate", "You reinstated {}."), VERSION),
    Act(f"{VERSION.path}/reopen", _decide("reopen", "You reopened {}."), VERSION),
    Act(
        f"{VERSION.path}/place-legal-hold",
        _decide("place-legal-hold", "You placed a legal hold on {}."),
        VERSION,
    ),
    Act(
        f"{VERSION.path}/release-legal-hold",
        _decide("release-legal-hold", "You released the legal hold of {}."),
        VERSION,
    ),
)
