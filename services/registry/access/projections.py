"""Event of an identity → row changes; live and rebuild use the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from services.registry.access.tables import IDENTITIES, KEYS, LINKS, MEMBERS, ROLES
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
from shared.deciding.issuers import GroupMapped, GroupUnmapped, IssuerDistrusted, IssuerTrusted, SignedIn
from shared.deciding.links import IdentityLinked, IdentityUnlinked
from shared.deciding.trusts import TrustAdded, TrustRemoved


def project(r: Recorded) -> Iterable[Change]:
    """Return the row changes of one event of an identity."""
    event: AccessEvent = r.event
    match event:
        case IdentityCreated() | IdentityDisabled() | IdentityEnabled() | NameSet() | NameErased():
            return (_identity(r, event),)
        case MemberAdded() as x:
            return (Put(MEMBERS, {"subject": x.subject, "member": x.member}),)
        case MemberRemoved() as x:
            return (Drop(MEMBERS, {"subject": x.subject, "member": x.member}),)
        case KeyIssued() | KeyRevoked():
            return (_key(r, event),)
        case RoleGranted() as x:
            return (Put(ROLES, _role(x)),)
        case RoleRevoked() as x:
            return (Drop(ROLES, _role(x)),)
        case IdentityLinked() as x:
            more = {"linked_at": r.recorded_at, "linked_by": x.by, "reason": r.reason}
            return (Put(LINKS, {**_link(x), **more}),)
        case IdentityUnlinked() as x:
            return (Drop(LINKS, _link(x)),)
        case SignedIn() | IssuerTrusted() | IssuerDistrusted() | GroupMapped() | GroupUnmapped():
            return ()  # read from the identities in memory, as every check does
        case TrustAdded() | TrustRemoved():
            return ()  # as above
        case _:
            assert_never(event)


def _identity(
    r: Recorded, event: IdentityCreated | IdentityDisabled | IdentityEnabled | NameSet | NameErased
) -> Change:
    columns: dict[str, object]
    match event:
        case IdentityCreated() as x:
            created = {"kind": x.kind, "created_at": r.recorded_at, "created_by": r.actor.subject}
            return Put(IDENTITIES, {"subject": x.subject, **created, "name_revision": r.revision})
        case IdentityDisabled():
            columns = {"disabled_at": r.recorded_at}
        case IdentityEnabled():
            columns = {"disabled_at": None}
        case NameSet():
            columns = {"name_revision": r.revision, "name_erased_at": None}
        case NameErased():
            columns = {"name_revision": r.revision, "name_erased_at": r.recorded_at}
        case _:
            assert_never(event)
    return Patch(IDENTITIES, {"subject": event.subject}, columns)


def _key(r: Recorded, event: KeyIssued | KeyRevoked) -> Change:
    key = {"subject": event.subject, "key_id": event.key_id}
    if isinstance(event, KeyRevoked):
        return Patch(KEYS, key, {"compromised_at" if event.compromised else "revoked_at": r.recorded_at})
    issued = {"issued_at": r.recorded_at, "issued_by": r.actor.subject, "expires_at": event.expires_at}
    trust = event.job.trust_id if event.job else ""
    return Put(KEYS, {**key, "algorithm": event.algorithm, "trust": trust, "issuer": event.issuer, **issued})


def _link(event: IdentityLinked | IdentityUnlinked) -> dict[str, object]:
    return {"subject": event.subject, "other": event.other, "login": event.login}


def _role(event: RoleGranted | RoleRevoked) -> dict[str, str]:
    return {
        "subject": event.subject,
        "role": event.role,
        "namespace": event.namespace,
        "through": event.group,
    }
