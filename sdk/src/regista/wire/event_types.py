"""The types of the public events, by service. A test compares them with the classes of the services."""

from __future__ import annotations

import difflib

EVENT_TYPES: dict[str, tuple[str, ...]] = {
    "registry": (
        "ModelRegistered",
        "ModelRenamed",
        "OwnerChanged",
        "TagsChanged",
        "DraftRegistered",
        "VersionRegistered",
        "VersionDescribed",
        "NoteAdded",
        "NoteCorrected",
        "MetadataCorrected",
        "RegistrationRefused",
        "ChildLinked",
        "ChildUnlinked",
        "EvaluationRecorded",
        "VersionValidated",
        "VersionRejected",
        "VersionReopened",
        "RecallProposed",
        "VersionRecalled",
        "VersionReinstated",
        "VersionArchived",
        "LegalHoldPlaced",
        "LegalHoldReleased",
        "PromotionRequested",
        "PromotionSpent",
        "PromotionRefused",
        "VersionPromoted",
        "GrantWithdrawn",
        "RolloutChanged",
        "RolledBack",
        "EnvironmentCreated",
        "EnvironmentEdited",
        "EnvironmentRetired",
        "AliasSet",
        "AliasRemoved",
        "VersionRetired",
        "RetireRefused",
    ),
    "approval": (
        "PolicyPublished",
        "PolicyProposed",
        "GatesEvaluated",
        "PromotionGranted",
        "PromotionDenied",
        "ReviewOpened",
        "ReviewApproved",
        "ReviewRejected",
        "ReviewCommented",
        "ReviewLapsed",
        "ReviewExpired",
        "OverrideUsed",
        "AfterReviewOverdue",
        "OverrideReviewed",
    ),
    "artifact": (
        "ArtifactReceived",
        "ArtifactVerified",
        "ArtifactReleased",
        "ArtifactMismatched",
        "ArtifactQuarantined",
        "ArtifactRecalled",
        "ArtifactExpired",
        "ExpiryTagged",
        "ArtifactDeleted",
    ),
    "cleanup": ("VersionMarked", "VersionSpared", "RetirementProposed"),
}
"""The names of the events that each service publishes, without `regista.<service>.` and the schema number."""

_NAMES = frozenset(name for names in EVENT_TYPES.values() for name in names)


def name_of(type_: str) -> str:
    """Return the name in a full type: `VersionPromoted` of `regista.registry.VersionPromoted.v1`."""
    parts = type_.split(".")
    return parts[2] if len(parts) == 4 and parts[0] == "regista" else type_


def problem_of_type(type_: str) -> str:
    """Return why nothing is published with this type, with the nearest name; "" for a known type."""
    name = name_of(type_)
    if name in _NAMES:
        return ""
    near = difflib.get_close_matches(name, sorted(_NAMES), n=1) or [
        known for known in sorted(_NAMES) if known.lower() == name.lower()
    ]
    return f"no service publishes events of the type {type_!r:.80}" + (f": {near[0]}?" if near else "")
