"""Event of an identity → row changes; live and rebuild use the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from services.registry.access.tables import IDENTITIES, KEYS, MEMBERS, ROLES
from shared.deciding.access import (
    AccessEvent,
    IdentityCreated,
    IdentityDisabled,
    IdentityEnabled,
    KeyIssued,
    KeyRevoked,
    MemberAdded,
    MemberRemoved,
    NameErased,
    NameSet,
    RoleGranted,
    RoleRevoked,
)
from shared.deciding.changes import Change, Drop, Patch, Put
from shared.deciding.events import Recorded


def project(r: Recorded) -> Iterable[Change]:
    """Return the row changes of one event of an identity."""
    event: AccessEvent = r.event
    match event:
        case IdentityCreated() as x:
            row = {
                "subject": x.subject,
                "kind": x.kind,
                "created_at": r.recorded_at,
                "created_by": r.actor.subject,
            }
            return (Put(IDENTITIES, row | {"name_revision": r.revision}),)
        case IdentityDisabled() as x:
            return (Patch(IDENTITIES, {"subject": x.subject}, {"disabled_at": r.recorded_at}),)
        case IdentityEnabled() as x:
            return (Patch(IDENTITIES, {"subject": x.subject}, {"disabled_at": None}),)
        case MemberAdded() as x:
            return (Put(MEMBERS, {"subject": x.subject, "member": x.member}),)
        case MemberRemoved() as x:
            return (Drop(MEMBERS, {"subject": x.subject, "member": x.member}),)
        case NameSet() as x:
            return (
                Patch(
                    IDENTITIES, {"subject": x.subject}, {"name_revision": r.revision, "name_erased_at": None}
                ),
            )
        case NameErased() as x:
            return (
                Patch(
                    IDENTITIES,
                    {"subject": x.subject},
                    {"name_revision": r.revision, "name_erased_at": r.recorded_at},
                ),
            )
        case KeyIssued() as x:
            row = {
                "subject": x.subject,
                "key_id": x.key_id,
                "algorithm": x.algorithm,
                "issued_at": r.recorded_at,
                "issued_by": r.actor.subject,
                "expires_at": x.expires_at,
            }
            return (Put(KEYS, row),)
        case KeyRevoked() as x:
            return (
                Patch(
                    KEYS,
                    {"subject": x.subject, "key_id": x.key_id},
                    {"compromised_at" if x.compromised else "revoked_at": r.recorded_at},
                ),
            )
        case RoleGranted() as x:
            return (Put(ROLES, _role(x)),)
        case RoleRevoked() as x:
            return (Drop(ROLES, _role(x)),)
        case _:
            assert_never(event)


def _role(event: RoleGranted | RoleRevoked) -> dict[str, str]:
    return {
        "subject": event.subject,
        "role": event.role,
        "namespace": event.namespace,
        "through": event.group,
    }
