"""`regista logout`."""

from __future__ import annotations

from regista.cli.terminal.output import say
from regista.cli.terminal.session import Session, command


@command(examples="regista logout")
def logout(session: Session) -> None:
    """End the sign-in of this machine: revoke it at the issuer, and delete it here."""
    from regista.login.current import Login  # noqa: PLC0415 - imported when the command runs

    ended = Login(session.profile()).end()
    if not session.for_people:
        issuer, revoked = ended or (None, False)
        session.one({"signed_out": ended is not None, "issuer": issuer, "revoked": revoked})
    elif ended is None:
        say("You were not signed in here.")
    elif ended[1]:
        say(f"You are signed out: {ended[0]} has revoked the sign-in, and it is deleted here.")
    else:
        say("You are signed out: the sign-in is deleted here.")
        say(
            f"{ended[0]} did not confirm that it is revoked: end the session in its account page, too.",
            err=True,
        )
