"""`regista whoami`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from regista.cli.terminal.output import print_fields
from regista.cli.terminal.session import Session, command

if TYPE_CHECKING:
    from regista.shapes.registry import Caller


@command(examples="regista whoami\nregista whoami --json")
def whoami(session: Session) -> None:
    """Show who you are to the registry: name, roles by namespace, key, and until when the key is valid."""
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
            "roles": _roles(found["roles"]),
            **_proof(found),
        }
    )


def _proof(found: Caller) -> dict[str, str]:
    """Return how the caller is known, and until when."""
    if (sign_in := found.get("sign_in")) is not None:
        return {"signed in at": sign_in["issuer"], "valid until": sign_in["until"]}
    key = found["key"]
    if key is None:
        return {}
    return {"key": key["key_id"], "valid until": key["expires_at"] or "it is revoked"}


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
