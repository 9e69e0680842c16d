"""All deciders about identities and issuers. One stream per subject."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never, get_args

from services.registry.access.domain import identities, keys
from services.registry.access.domain.commands import (
    CreateIdentity,
    DisableIdentity,
    EnableIdentity,
    EraseName,
    IssueKey,
    OwnStream,
    RevokeKey,
    SetName,
    WithMembers,
)
from services.registry.access.domain.identities import existing
from services.registry.access.domain.issuers import OfIssuer, RecordSignIn, decide_issuer, decide_sign_in
from services.registry.access.domain.links import OfLink, decide_link
from services.registry.access.domain.roles import decide_roles
from services.registry.access.domain.trusts import OfTrust, decide_trust
from shared.deciding.access import (
    PARTITION,
    AccessEvent,
    AccessState,
    NameErased,
    NameSet,
    evolve_access,
)
from shared.deciding.decider import Decider, Fold, Joint


def decide(command: OwnStream, state: AccessState) -> Sequence[AccessEvent]:
    """Return the events that `command` leads to in the stream of one identity."""
    match command:
        case DisableIdentity():
            return identities.disable(command, existing(command.subject, state))
        case EnableIdentity():
            return identities.enable(command, existing(command.subject, state))
        case SetName():
            existing(command.subject, state)
            return [NameSet(command.subject)]
        case EraseName():
            return [] if existing(command.subject, state).name_erased else [NameErased(command.subject)]
        case IssueKey():
            return keys.issue(command, existing(command.subject, state))
        case RevokeKey():
            return keys.revoke(command, existing(command.subject, state))
        case _:
            assert_never(command)


ACCESS: Decider[OwnStream, AccessEvent, AccessState] = Decider(
    PARTITION, AccessState(), evolve_access, decide=decide
)
ISSUER: Decider[OfIssuer, AccessEvent, AccessState] = Decider(
    PARTITION, AccessState(), evolve_access, decide=decide_issuer
)
TRUST: Decider[OfTrust, AccessEvent, AccessState] = Decider(
    PARTITION, AccessState(), evolve_access, decide=decide_trust
)
FOLDS: tuple[Fold[Any, Any], ...] = (ACCESS,)
DECIDERS: dict[type, Decider[Any, Any, Any] | Joint[Any]] = {
    CreateIdentity: Joint(identities.decide_creation),
    **dict.fromkeys(get_args(OwnStream), ACCESS),
    **dict.fromkeys(get_args(WithMembers), Joint(decide_roles)),
    **dict.fromkeys(get_args(OfLink), Joint(decide_link)),
    **dict.fromkeys(get_args(OfIssuer), ISSUER),
    **dict.fromkeys(get_args(OfTrust), TRUST),
    RecordSignIn: Joint(decide_sign_in),
}
