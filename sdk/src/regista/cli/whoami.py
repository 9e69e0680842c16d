"""`regista whoami`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regista.cli.terminal.output import print_fields, to_the_second
from regista.cli.terminal.roles import roles_held
from regista.cli.terminal.session import Session, command


@command(examples="regista whoami\nregista whoami --json")
def whoami(session: Session) -> None:
    """Show who you are to the registry: name, roles by namespace and group, and until when."""
    with session.client() as client:
        found = client.whoami()
    if not session.for_people:
        session.one(found)
        return
    shown = {name: found[name] for name in ("subject", "name", "kind")}
    print_fields(shown | {"roles": roles_held(found["roles"])} | _credentials(found))


def _credentials(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the caller is known by, and until when."""
    if signed_in := found.get("sign_in"):
        until = f"{to_the_second(signed_in['until'])}, then it is renewed while the sign-in lasts"
        return {"signed in with": signed_in["issuer"], "token valid until": until}
    key = found["key"]
    if key is None:
        return {}
    return {"key": key["key_id"], "valid until": key["expires_at"] or "it is revoked"}
