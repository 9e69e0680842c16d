"""Who may do what: the events of identities, their fold and the check of a permission.

Pure; shared/identity/access_view.py turns keys into actors.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar, Literal

from immutables import Map

from shared.deciding.decider import Fold, Forbidden
from shared.deciding.events import EventTypes
from shared.deciding.submission import Permission

Kind = Literal["person", "publisher", "service"]
Algorithm = Literal["hmac-sha256", "ed25519"]

PARTITION = "access"
ANY_ROLE = "any"
EVERYWHERE = "*"
OWN_ROLE_ONLY = frozenset(
    {"override"}
)  # break-glass: being admin is not enough, somebody must have granted it on the record


@dataclass(frozen=True, slots=True)
class IdentityCreated:
    """Who exists.

    The name is no event: it stands in the directory, which forgets it when told to
    (shared/identity/directory.py).
    """

    SCHEMA: ClassVar[int] = 2

    subject: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class NameSet:
    """The directory has another name for the subject from now on. Which one, only the directory says."""

    subject: str


@dataclass(frozen=True, slots=True)
class NameErased:
    """The directory has no name for the subject any more.

    What was signed before keeps the name it was signed with.
    """

    subject: str


@dataclass(frozen=True, slots=True)
class KeyIssued:
    """`verifier` is hex: the keyed hash of an API key, or a raw Ed25519 public key."""

    subject: str
    key_id: str
    algorithm: Algorithm
    verifier: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyRevoked:
    """`compromised`: somebody else may have the key, so nothing it ever signed counts any more.

    A key revoked before can still be found so.
    """

    SCHEMA: ClassVar[int] = 2

    subject: str
    key_id: str
    reason: str
    compromised: bool = False


@dataclass(frozen=True, slots=True)
class RoleGranted:
    subject: str
    role: str
    namespace: str


@dataclass(frozen=True, slots=True)
class RoleRevoked:
    subject: str
    role: str
    namespace: str


AccessEvent = IdentityCreated | NameSet | NameErased | KeyIssued | KeyRevoked | RoleGranted | RoleRevoked


def _nameless(data: dict[str, Any]) -> dict[str, Any]:
    """The first schema held the name."""
    return {name: value for name, value in data.items() if name != "name"}


def _not_compromised(data: dict[str, Any]) -> dict[str, Any]:
    """Who revoked a key under the first schema had no way to say so."""
    return data | {"compromised": False}


ACCESS_EVENTS = EventTypes(
    (IdentityCreated, NameSet, NameErased, KeyIssued, KeyRevoked, RoleGranted, RoleRevoked),
    upcasters={("IdentityCreated", 1): _nameless, ("KeyRevoked", 1): _not_compromised},
)


@dataclass(frozen=True, slots=True)
class Key:
    key_id: str
    algorithm: Algorithm
    verifier: str
    expires_at: datetime | None = None
    revoked: bool = False
    compromised: bool = False

    def live(self, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return not self.revoked and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Grant:
    role: str
    namespace: str


@dataclass(frozen=True, slots=True)
class AccessState:
    """One identity. `grants` is keyed `<role>@<namespace>`; `kind` is empty before IdentityCreated."""

    subject: str = ""
    kind: str = ""
    name_erased: bool = False
    keys: Map[str, Key] = field(default_factory=Map)
    grants: Map[str, Grant] = field(default_factory=Map)
    revision: int = 0


def evolve_access(state: AccessState, event: AccessEvent) -> AccessState:
    """The fold of `access-<subject>`."""
    state = replace(state, revision=state.revision + 1)
    match event:
        case IdentityCreated():
            return replace(state, subject=event.subject, kind=event.kind)
        case NameSet():
            return replace(state, name_erased=False)
        case NameErased():
            return replace(state, name_erased=True)
        case KeyIssued():
            return replace(
                state,
                keys=state.keys.set(
                    event.key_id, Key(event.key_id, event.algorithm, event.verifier, event.expires_at)
                ),
            )
        case KeyRevoked():
            if (key := state.keys.get(event.key_id)) is None:
                return state
            ended = replace(key, revoked=True, compromised=key.compromised or event.compromised)
            return replace(state, keys=state.keys.set(event.key_id, ended))
        case RoleGranted():
            return replace(
                state,
                grants=state.grants.set(
                    f"{event.role}@{event.namespace}", Grant(event.role, event.namespace)
                ),
            )
        case RoleRevoked():
            name = f"{event.role}@{event.namespace}"
            return replace(state, grants=state.grants.delete(name)) if name in state.grants else state
    return state


ACCESS: Fold[AccessEvent, AccessState] = Fold(PARTITION, AccessState(), evolve_access)


def stream_of(subject: str) -> str:
    """The stream of an identity."""
    return f"{PARTITION}-{subject}"


def normalized_name(name: str) -> str:
    """A subject or printed name as two of them are compared: the same for every case and Unicode form (Unicode 16, D146)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def namespace_of(name: str) -> str:
    """The namespace of a dotted name: all before its last part, "" for none."""
    return name.rpartition(".")[0]


def covers(outer: str, namespace: str) -> bool:
    """Return whether `outer` is the namespace or contains it, at any depth. In SQL: `log.covers`, which takes names."""
    return namespace == outer or namespace.startswith(outer + ".")


def permits(state: AccessState, role: str, namespace: str) -> bool:
    """Whether the identity holds `role` in `namespace`: granted everywhere, in it, or in one that contains it.

    `admin` implies every role but those of OWN_ROLE_ONLY; ANY_ROLE asks for whichever role. A name without a
    namespace ("") is covered by grants everywhere only.
    """
    return any(
        (g.namespace == EVERYWHERE or covers(g.namespace, namespace))
        and (role in {g.role, ANY_ROLE} or (g.role == "admin" and role not in OWN_ROLE_ONLY))
        for g in state.grants.values()
    )


def check(state: AccessState, permission: Permission, now: datetime, method: str = "") -> None:
    """Raises Forbidden unless the identity exists, holds the role at this moment, and the key it came with (`api-key:<key id>`) is neither revoked nor expired.

    An actor who came without naming a key needs a live one if it has keys at all.
    """
    wanted = "a role" if permission.role == ANY_ROLE else f"the role {permission.role!r}"
    where = (
        f"in the namespace {permission.namespace!r}"
        if permission.namespace not in {"", EVERYWHERE}
        else "everywhere (namespace '*')"
    )
    if not state.kind:
        raise Forbidden(
            "unknown_identity", "The caller is no registered identity: an admin registers it first."
        )
    used = state.keys.get(method.partition(":")[2])
    if state.keys and not (used.live(now) if used else any(k.live(now) for k in state.keys.values())):
        raise Forbidden(
            "no_live_key",
            f"The key of {state.subject} is revoked or expired: an admin issues a new one.",
            subject=state.subject,
        )
    if not permits(state, permission.role, permission.namespace):
        raise Forbidden(
            "role_missing",
            f"{state.subject} needs {wanted} {where}: an admin grants it.",
            subject=state.subject,
            role=permission.role,
            namespace=permission.namespace,
        )


def readable_namespaces(state: AccessState) -> frozenset[str] | None:
    """The namespaces (each with all it contains) in which the identity has any role; None for everywhere."""
    granted = frozenset(g.namespace for g in state.grants.values())
    return None if EVERYWHERE in granted else granted
