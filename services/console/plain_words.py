"""Put events into words: `approved`, not `ReviewApproved`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WORDS: Mapping[str, str] = {
    "ModelRegistered": "registered the model",
    "ModelRenamed": "renamed the model",
    "OwnerChanged": "changed the owner",
    "TagsChanged": "changed the tags",
    "DescriptionChanged": "changed the description",
    "VersionRegistered": "registered",
    "MetadataAdded": "completed the metadata of",
    "RegistrationRefused": "was refused a registration",
    "EvaluationRecorded": "recorded an evaluation of",
    "VersionValidated": "validated",
    "VersionRejected": "rejected",
    "PromotionRequested": "requested the promotion of",
    "PromotionRefused": "refused the promotion of",
    "VersionPromoted": "promoted",
    "VersionArchived": "archived",
    "RolloutChanged": "changed who serves",
    "RolledBack": "rolled back",
    "RolloutStopped": "stopped the rollout",
    "AliasSet": "pointed an alias at",
    "AliasRemoved": "removed an alias",
    "LegalHoldPlaced": "placed a legal hold on",
    "LegalHoldReleased": "released the legal hold of",
    "VersionRetired": "retired",
    "VersionRecalled": "withdrew",
    "RecallProposed": "proposed to withdraw",
    "GatesEvaluated": "assessed the gates of",
    "ReviewOpened": "opened a review of",
    "ReviewApproved": "approved",
    "ReviewRejected": "rejected the promotion of",
    "ReviewCommented": "commented on",
    "ReviewLapsed": "let the review lapse of",
    "ReviewExpired": "let the review expire of",
    "ReviewRefreshed": "assessed the review again of",
    "PromotionGranted": "granted the promotion of",
    "PromotionDenied": "denied the promotion of",
    "OverrideUsed": "overrode the policy for",
    "OverrideReviewed": "reviewed the override of",
    "AfterReviewOverdue": "reported an overdue after-review of",
    "ArtifactReceived": "received the files of",
    "ArtifactVerified": "verified the files of",
    "ArtifactReleased": "made the files available of",
    "ArtifactMismatched": "found other bytes than registered for",
    "ArtifactQuarantined": "quarantined the files of",
    "ArtifactRecalled": "stopped serving the files of",
    "ExpiryTagged": "marked the files for deletion of",
    "ArtifactExpired": "let the files expire of",
    "ArtifactDeleted": "deleted the files of",
    "VersionMarked": "marked for cleanup",
    "VersionSpared": "spared from cleanup",
    "RetirementProposed": "proposed to retire",
    "RetentionChanged": "changed how long versions are kept",
    "UsageRecorded": "recorded uses of",
    "PolicyPublished": "published a policy",
    "AttemptsDenied": "was denied something by a rule",
    "CheckAsked": "requested a check of the files",
    "NameClaimed": "claimed the name",
    "DraftRegistered": "registered the draft",
    "NoteAdded": "noted something on",
    "VersionDescribed": "described",
    "EnvironmentCreated": "declared an environment",
    "IdentityCreated": "created an identity",
    "KeyIssued": "issued a key",
    "KeyRevoked": "revoked a key",
    "RoleGranted": "granted a role",
    "RoleRevoked": "took a role back",
    "IdentityDisabled": "suspended an identity",
    "IdentityEnabled": "enabled an identity",
    "IdentityLinked": "linked two identities",
    "IdentityUnlinked": "removed a link of identities",
    "IssuerTrusted": "trusted an issuer",
    "IssuerDistrusted": "distrusted an issuer",
    "GroupMapped": "gave a role to a group",
    "GroupUnmapped": "took a role from a group",
    "VersionReinstated": "reinstated",
}


def plain(name: str) -> str:
    """Return the name of an event or a gate as words: `VersionPromoted`, `metric_threshold`."""
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in name.replace("_", " ").replace(".", " "))
    return words.strip()


def in_words(event: Mapping[str, Any]) -> str:
    """Return what the actor of an event did."""
    if event.get("hidden"):
        return "did something to a model that you may not read"
    kind = str(event.get("type", ""))
    words = WORDS.get(kind) or plain(kind)
    return words if event.get("number") else words.removesuffix(" of").removesuffix(" on").removesuffix(" at")


def finding(justified: object) -> str:
    """Return what an after-review found about its override, "" where there is no after-review."""
    if not isinstance(justified, bool):
        return ""
    return "found it justified" if justified else "found it NOT justified"


def found_by(event: Mapping[str, Any]) -> str:
    """Return what the event of an after-review found, "" for another event."""
    return finding((event.get("data") or {}).get("justified"))


def reason_of(event: Mapping[str, Any]) -> str:
    """Return the reason of an event; for an after-review its comment."""
    comment = (event.get("data") or {}).get("comment") if event.get("type") == "OverrideReviewed" else ""
    return str(event.get("reason") or comment or "")


def happened(moment: Mapping[str, Any]) -> str:
    """Return what happened at a moment, as a title: `Promoted fraud.scoring #2 in production`."""
    words, about = in_words(moment), str(moment.get("model") or "")
    where = f" in {moment['environment']}" if moment.get("environment") else ""
    if about and not moment.get("number"):
        return f"{about}: {words}{where}"
    named = f" {about} #{moment['number']}".replace("  ", " ") if moment.get("number") else ""
    return f"{words[:1].upper()}{words[1:]}{named}{where}"


def compared(metric: Mapping[str, Any], champion: Mapping[str, Any]) -> str:
    """Return how a metric stands beside the champion's: `▲ +0.012`, or that they cannot be compared."""
    if (metric["name"], metric["dataset_digest"]) != (champion["name"], champion["dataset_digest"]):
        return "not comparable"
    difference = float(metric["value"]) - float(champion["value"])
    if abs(difference) < 5e-5:
        return "= same"
    better = (difference > 0) == bool(metric["higher_is_better"])
    return f"{'▲' if better else '▼'} {difference:+.4f}"
