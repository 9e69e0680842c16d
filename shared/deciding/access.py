"""Decide who may do what: the events of identities, their fold, and the check of a permission. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal, get_args

from immutables import Map

from shared.deciding.decider import Fold, Forbidden
from shared.deciding.events import EventTypes, from_actor, key_id_of
from shared.deciding.issuers import (
    GroupMapped,
    GroupUnmapped,
    Issuer,
    IssuerDistrusted,
    IssuerEvent,
    IssuerTrusted,
    MappedRole,
    SignedIn,
    SignIn,
    mapped_key,
)
from shared.deciding.links import (
    NO_LINKS,
    IdentityLinked,
    IdentityUnlinked,
    LinkEvent,
    Links,
    evolve_links,
)
from shared.deciding.submission import Permission
from shared.deciding.trusts import (
    NO_TRUSTS,
    Job,
    Trust,
    TrustAdded,
    TrustEvent,
    TrustRemoved,
    evolve_trusts,
    is_long_over,
)

Kind = Literal["person", "publisher", "service", "group"]
Algorithm = Literal["hmac-sha256", "ed25519"]
Role = Literal["publisher", "engineer", "approver", "auditor", "admin", "override"]
ROLES: tuple[str, ...] = get_args(Role)

PARTITION = "access"
ANY_ROLE = "any"
NO_ROLE = "none"
"""The permission of a caller who acts on their own identity: it exists, is enabled, and the key is live."""
EVERYWHERE = "*"
OWN_ROLE_ONLY = frozenset({"override"})
"""Roles that `admin` does not imply: each needs a recorded grant of its own."""
LONGEST_JOB_KEY = timedelta(hours=1)
"""Maximum time that the key of a job is valid; it ends with the job's token at the latest."""


@dataclass(frozen=True, slots=True)
class IdentityCreated:
    """A person, publisher or service exists.

    The event holds no name: names stand in the directory, where they can be erased
    (shared/identity/directory.py). `by`: the subject who created it, here and in the events below; empty in
    events of an earlier schema.
    """

    SCHEMA: ClassVar[int] = 3

    subject: str
    kind: Kind
    by: str = ""


@dataclass(frozen=True, slots=True)
class NameSet:
    """The directory has a new name for the subject. Only the directory holds the name."""

    subject: str


@dataclass(frozen=True, slots=True)
class NameErased:
    """The directory has no name for the subject any more.

    Records that the subject signed before keep the name that was on them.
    """

    subject: str


@dataclass(frozen=True, slots=True)
class IdentityDisabled:
    """The identity may do nothing until it is enabled again. Its keys and roles stay."""

    subject: str


@dataclass(frozen=True, slots=True)
class IdentityEnabled:
    subject: str


@dataclass(frozen=True, slots=True)
class MemberAdded:
    """`subject` is the group. The member's own stream has a RoleGranted for each role of the group."""

    subject: str
    member: str


@dataclass(frozen=True, slots=True)
class MemberRemoved:
    subject: str
    member: str


@dataclass(frozen=True, slots=True)
class KeyIssued:
    """`verifier` is hex: the keyed hash of an API key, or a raw Ed25519 public key.

    `job`: the key was issued to a job, for its token (shared/deciding/trusts.py). `issuer`: the subject
    issued it to itself with a token of this issuer, so it has the roles of the subject's groups there, too.
    """

    SCHEMA: ClassVar[int] = 4

    subject: str
    key_id: str
    algorithm: Algorithm
    verifier: str
    expires_at: datetime | None = None
    by: str = ""
    job: Job | None = None
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class KeyRevoked:
    """A key is revoked. `compromised`: another person may have the key, so nothing it ever signed is valid.

    A key that is revoked already can be declared compromised later.
    """

    SCHEMA: ClassVar[int] = 2

    subject: str
    key_id: str
    reason: str
    compromised: bool = False


@dataclass(frozen=True, slots=True)
class RoleGranted:
    """`group` is the group through which the subject holds the role; "" for a grant of its own.

    A stream thus holds every role of its subject.
    """

    SCHEMA: ClassVar[int] = 3

    subject: str
    role: str
    namespace: str
    group: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class RoleRevoked:
    """Ends the grant with the same role, namespace and group."""

    SCHEMA: ClassVar[int] = 2

    subject: str
    role: str
    namespace: str
    group: str = ""


AccessEvent = (
    IdentityCreated
    | IdentityDisabled
    | IdentityEnabled
    | NameSet
    | NameErased
    | KeyIssued
    | KeyRevoked
    | RoleGranted
    | RoleRevoked
    | MemberAdded
    | MemberRemoved
    | SignedIn
    | IssuerEvent
    | TrustEvent
    | LinkEvent
)


def _nameless(data: dict[str, Any]) -> dict[str, Any]:
    """Drop the name, which the first schema held."""
    return {name: value for name, value in data.items() if name != "name"}


def _not_compromised(data: dict[str, Any]) -> dict[str, Any]:
    """Add `compromised`, which the first schema did not have."""
    return data | {"compromised": False}


def _of_no_job(data: dict[str, Any]) -> dict[str, Any]:
    """Add `job`, which the second schema did not have: keys were issued to identities only."""
    return data | {"job": None}


def _without_groups(data: dict[str, Any]) -> dict[str, Any]:
    """Add `issuer`, which the third schema did not have: keys had own roles only."""
    return data | {"issuer": ""}


def _own(data: dict[str, Any]) -> dict[str, Any]:
    """Add `group`, which the first schema did not have: there were grants of an identity's own only."""
    return data | {"group": ""}


ACCESS_EVENTS = EventTypes(
    get_args(AccessEvent),
    upcasters={
        ("IdentityCreated", 1): _nameless,
        ("IdentityCreated", 2): from_actor("by"),
        ("KeyIssued", 1): from_actor("by"),
        ("KeyIssued", 2): _of_no_job,
        ("KeyIssued", 3): _without_groups,
        ("KeyRevoked", 1): _not_compromised,
        ("RoleGranted", 1): _own,
        ("RoleGranted", 2): from_actor("by"),
        ("RoleRevoked", 1): _own,
    },
)


@dataclass(frozen=True, slots=True)
class Key:
    """A key. `trust` is that by which a job got it, "" for every other key; `started_by` started that job.

    `issuer` is the issuer of tokens whose groups count for the key, "" for own roles only.
    """

    key_id: str
    algorithm: Algorithm
    verifier: str
    expires_at: datetime | None = None
    revoked: bool = False
    compromised: bool = False
    trust: str = ""
    started_by: str = ""
    issuer: str = ""

    def live(self, now: datetime) -> bool:
        """Return whether the key is neither revoked nor expired."""
        return not self.revoked and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Grant:
    role: str
    namespace: str
    group: str = ""


def grant_key(role: str, namespace: str, group: str = "") -> str:
    """Return the key of a grant in AccessState."""
    return f"{role}@{namespace}#{group}" if group else f"{role}@{namespace}"


@dataclass(frozen=True, slots=True)
class AccessState:
    """One identity. `kind` is empty before IdentityCreated.

    `grants` is keyed by `grant_key`, and `ended` has the keys of grants of its own that were revoked.
    `members` are those of a group. `appointed_by`: other subjects who created the identity, issued it a key
    or granted it a role, ever, and which of these (`created`, `keyed`, `granted`). `sign_ins` has the last
    one by each issuer's key. `trusts` are those of a publisher. `links` names what else is of the
    same human being. The stream of an issuer has `issuer` and `mapped`, and no kind.
    """

    subject: str = ""
    kind: str = ""
    name_erased: bool = False
    keys: Map[str, Key] = field(default_factory=Map)
    grants: Map[str, Grant] = field(default_factory=Map)
    disabled: bool = False
    ended: frozenset[str] = frozenset()
    members: Map[str, bool] = field(default_factory=Map)
    revision: int = 0
    appointed_by: Map[str, tuple[str, ...]] = field(default_factory=Map)
    sign_ins: Map[str, SignIn] = field(default_factory=Map)
    issuer: Issuer | None = None
    mapped: Map[str, MappedRole] = field(default_factory=Map)
    trusts: Map[str, Trust] = NO_TRUSTS
    links: Links = NO_LINKS


def evolve_access(state: AccessState, event: AccessEvent) -> AccessState:
    """Fold an event of the stream `access-<subject>`."""
    state = replace(state, revision=state.revision + 1)
    match event:
        case IdentityCreated():
            state = _appointed(state, event.subject, event.by, "created")
            return replace(state, subject=event.subject, kind=event.kind)
        case IdentityDisabled():
            return replace(state, disabled=True)
        case IdentityEnabled():
            return replace(state, disabled=False)
        case MemberAdded():
            return replace(state, members=state.members.set(event.member, True))
        case MemberRemoved():
            left = state.members.delete(event.member) if event.member in state.members else state.members
            return replace(state, members=left)
        case NameSet():
            return replace(state, name_erased=False)
        case NameErased():
            return replace(state, name_erased=True)
        case KeyIssued():
            return replace(
                _appointed(state, event.subject, event.by, "keyed"), keys=_with_key(state.keys, event)
            )
        case KeyRevoked():
            if (key := state.keys.get(event.key_id)) is None:
                return state
            ended = replace(key, revoked=True, compromised=key.compromised or event.compromised)
            return replace(state, keys=state.keys.set(event.key_id, ended))
        case RoleGranted():
            name = grant_key(event.role, event.namespace, event.group)
            grant = Grant(event.role, event.namespace, event.group)
            state = _appointed(state, event.subject, event.by, "granted")
            return replace(state, grants=state.grants.set(name, grant), ended=state.ended - {name})
        case RoleRevoked():
            name = grant_key(event.role, event.namespace, event.group)
            if name not in state.grants:
                return state
            gone = state.ended if event.group else state.ended | {name}
            return replace(state, grants=state.grants.delete(name), ended=gone)
        case SignedIn():
            return _signed_in(state, event)
        case IssuerTrusted() | IssuerDistrusted() | GroupMapped() | GroupUnmapped():
            return _evolve_issuer(state, event)
        case TrustAdded() | TrustRemoved():
            return _evolve_trusts(state, event)
        case IdentityLinked() | IdentityUnlinked():
            return replace(state, links=evolve_links(state.links, event))
    return state


def _with_key(keys: Map[str, Key], event: KeyIssued) -> Map[str, Key]:
    """Return the keys with a new one. The key of a job replaces those of jobs that are long over."""
    key = Key(event.key_id, event.algorithm, event.verifier, event.expires_at, issuer=event.issuer)
    if event.job is None:
        return keys.set(event.key_id, key)
    for key_id, old in keys.items():
        if old.trust and is_long_over(old.expires_at, event.expires_at, LONGEST_JOB_KEY):
            keys = keys.delete(key_id)
    return keys.set(event.key_id, replace(key, trust=event.job.trust_id, started_by=event.job.started_by))


def _evolve_trusts(state: AccessState, event: TrustEvent) -> AccessState:
    """Fold a trust. Who added one chose who gets keys of the publisher; with its end all of them end."""
    state = replace(state, trusts=evolve_trusts(state.trusts, event))
    if isinstance(event, TrustAdded):
        return _appointed(state, event.subject, event.by, "keyed")
    keys = state.keys
    for key_id, key in state.keys.items():
        if key.trust == event.trust_id and not key.revoked:
            keys = keys.set(key_id, replace(key, revoked=True))
    return replace(state, keys=keys)


def _signed_in(state: AccessState, event: SignedIn) -> AccessState:
    for by in event.appointed_by:
        state = _appointed(state, event.subject, by, "granted")
    seen = SignIn(event.account, frozenset(event.groups), frozenset(event.appointed_by), event.token_at)
    return replace(state, sign_ins=state.sign_ins.set(event.issuer, seen))


def _evolve_issuer(state: AccessState, event: IssuerEvent) -> AccessState:
    """Fold an event of the stream `access-issuer:<key>`."""
    match event:
        case IssuerTrusted() as x:
            settings = x.audience, x.client_id, x.scopes, x.algorithms, x.groups_claim
            return replace(state, subject=x.subject, issuer=Issuer(x.issuer, *settings, x.by))
        case IssuerDistrusted():
            gone = replace(state.issuer, trusted=False) if state.issuer else None
            return replace(state, issuer=gone)
        case GroupMapped() as x:
            name = mapped_key(x.group, x.role, x.namespace)
            one = MappedRole(x.group, x.role, x.namespace, x.by)
            return replace(state, mapped=state.mapped.set(name, one))
        case GroupUnmapped() as x:
            name = mapped_key(x.group, x.role, x.namespace)
            left = state.mapped.delete(name) if name in state.mapped else state.mapped
            return replace(state, mapped=left)


def _appointed(state: AccessState, subject: str, by: str, how: str) -> AccessState:
    """Return the state with another subject who appointed the identity."""
    known = state.appointed_by.get(by, ())
    if by in {"", subject} or how in known:
        return state
    return replace(state, appointed_by=state.appointed_by.set(by, (*known, how)))


ACCESS: Fold[AccessEvent, AccessState] = Fold(PARTITION, AccessState(), evolve_access)


def stream_of(subject: str) -> str:
    return f"{PARTITION}-{subject}"


def namespace_of(name: str) -> str:
    """Return the namespace of a dotted name: all before its last part, or "" without one."""
    return name.rpartition(".")[0]


def covers(outer: str, namespace: str) -> bool:
    """Return whether `outer` is the namespace or contains it, at any depth.

    Queries use the same rule as the SQL function `log.covers` (shared/migrations/versions/0004_covers.sql).
    """
    return namespace == outer or namespace.startswith(outer + ".")


def implies(role: str, wanted: str) -> bool:
    """Return whether who has `role` may do what `wanted` permits, in the same namespace."""
    return wanted in {role, ANY_ROLE} or (role == "admin" and wanted not in OWN_ROLE_ONLY)


def permits(state: AccessState, role: str, namespace: str) -> bool:
    """Return whether the identity has `role` in `namespace`, in one that contains it, or everywhere.

    `admin` implies every role except those of OWN_ROLE_ONLY. Any role satisfies ANY_ROLE. Only a grant
    everywhere covers a name without a namespace ("").
    """
    return any(
        (g.namespace == EVERYWHERE or covers(g.namespace, namespace)) and implies(g.role, role)
        for g in state.grants.values()
    )


def check(state: AccessState, permission: Permission, now: datetime, method: str = "") -> None:
    """Raise Forbidden unless the identity exists, is enabled, has the role, and its key is live.

    `method` names the key (`key_id_of`). Without it, an identity that has keys needs one that is live.
    A key that signed a message (`signature:<key id>`) had to be valid when the message was sent, which its
    reader has checked; now it must not be revoked.
    """
    wanted = "a role" if permission.role == ANY_ROLE else f"the role {permission.role!r}"
    scope = (
        f"in the namespace {permission.namespace!r}"
        if permission.namespace not in {"", EVERYWHERE}
        else "everywhere (namespace '*')"
    )
    if not state.kind:
        raise Forbidden(
            "unknown_identity", "The caller is not a registered identity: an admin must register it first."
        )
    if state.disabled:
        raise Forbidden(
            "identity_disabled",
            f"{state.subject} is disabled: an admin must enable it again.",
            subject=state.subject,
        )
    proof, used = method.partition(":")[0], state.keys.get(key_id_of(method))
    if used is None:
        live = not state.keys or any(key.live(now) for key in state.keys.values())
    else:
        live = not used.revoked if proof == "signature" else used.live(now)
    if not live:
        raise Forbidden(
            "no_live_key",
            f"The key of {state.subject} is revoked or expired: an admin must issue a new one.",
            subject=state.subject,
        )
    if permission.role != NO_ROLE and not permits(state, permission.role, permission.namespace):
        raise Forbidden(
            "role_missing",
            f"{state.subject} needs {wanted} {scope}: an admin must grant it.",
            subject=state.subject,
            role=permission.role,
            namespace=permission.namespace,
        )


def readable_namespaces(state: AccessState) -> frozenset[str] | None:
    """Return the namespaces in which the identity has a role; None for every namespace."""
    granted = frozenset(g.namespace for g in state.grants.values())
    return None if EVERYWHERE in granted else granted
