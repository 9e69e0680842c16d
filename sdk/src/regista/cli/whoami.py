"""`regista whoami`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from regista.cli.terminal.output import print_fields
from regista.cli.terminal.session import Session, command


@command(examples="regista whoami\nregista whoami --json")
def whoami(session: Session) -> None:
    """Show who you are to the registry: name, roles by namespace, key, and until when the key is valid."""
    with session.client() as client:
        found = client.whoami()
    if not session.for_people:
        session.one(found)
        return
    key = found["key"]
    print_fields(
        {
            "identity": found["subject"],
            "name": found["name"],
            "kind": found["kind"],
            "roles": _roles(found["roles"]),
            "key": key["key_id"],
            "valid until": key["expires_at"] or "it is revoked",
        }
    )


def _roles(roles: Sequence[Mapping[str, Any]]) -> str:
    """Return the roles by namespace."""
    if not roles:
        return "none: ask an admin for one"
    by_namespace: dict[str, list[str]] = {}
    for role in roles:
        through = f" (as a member of {role['group']})" if role.get("group") else ""
        by_namespace.setdefault(str(role["namespace"]), []).append(f"{role['role']}{through}")
    held = [
        f"{', '.join(names)} {'everywhere' if namespace == '*' else f'in {namespace}'}"
        for namespace, names in sorted(by_namespace.items())
    ]
    return "; ".join(held)
