"""Show the roles of a caller in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def roles_held(roles: Sequence[Mapping[str, Any]]) -> str:
    """Return the roles by namespace, with the group through which each is held."""
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
