"""The stored events of the registry by their names, and how older forms of them become today's.

None has an older form yet.
"""

from __future__ import annotations

from services.registry.domain.model import events as e
from services.registry.domain.naming.name import NameClaimed
from shared.deciding.events import EventTypes

EVENTS = EventTypes(
    (
        NameClaimed,
        e.ModelRegistered,
        e.ModelRenamed,
        e.OwnerChanged,
        e.TagsChanged,
        e.VersionRegistered,
        e.MetadataAdded,
        e.RegistrationRefused,
        e.ChildLinked,
        e.ChildUnlinked,
        e.EvaluationRecorded,
        e.VersionValidated,
        e.VersionRejected,
        e.VersionRecalled,
        e.VersionArchived,
        e.LegalHoldPlaced,
        e.LegalHoldReleased,
        e.PromotionRequested,
        e.PromotionRefused,
        e.VersionPromoted,
        e.RolloutChanged,
        e.RolledBack,
        e.AliasSet,
        e.AliasRemoved,
        e.VersionRetired,
        e.RetireRefused,
    ),
    upcasters={},
)
