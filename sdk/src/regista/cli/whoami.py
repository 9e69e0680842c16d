"""`regista whoami`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regista.cli.terminal.output import print_fields, to_the_second
from regista.cli.terminal.roles import roles_held
from regista.cli.terminal.session import Session, command

if TYPE_CHECKING:
    from regista.shapes.registry import Caller


@command(examples="regista whoami\nregista whoami --json")
def whoami(session: Session) -> None:
    """Show who you are to the registry: name, roles by namespace and group, and until when."""
    with session.client() as client:
        found = client.whoami()
    if not session.for_people:
        session.one(found)
        return
    print_fields(
        {
            "identity": found["subject"],
            "name": found["name"],
            "kind": found["kind"],
            "roles": roles_held(found["roles"]),
            **_proof(found),
        }
    )


def _proof(found: Caller) -> dict[str, str]:
    """Return how the caller is known, and until when."""
    if (sign_in := found.get("sign_in")) is not None:
        until = f"{to_the_second(sign_in['until'])}; renewed while the sign-in lasts"
        return {"signed in at": sign_in["issuer"], "token valid until": until}
    key = found["key"]
    if key is None:
        return {}
    return {"key": key["key_id"], "valid until": key["expires_at"] or "it is revoked"}
