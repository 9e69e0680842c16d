"""Where a version stands, what holds it there, and who can supply what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
STAGES = ("Draft", "Staging", "Validated", "Production")
SUPPLIERS: Mapping[str, str] = {
    "metadata_complete": "The publisher completes the metadata, or publishes a new version.",
    "artifact_verified": "The artifact service verifies the bytes. Where they differ, upload again.",
    "metric_threshold": "An engineer records an evaluation on that data set, or a better one comes.",
    "no_regression": "An engineer records an evaluation on the champion's data set, or a better one comes.",
    "schema_compatible": "The publisher publishes a compatible version, or approvers accept it by name.",
    "lineage_sound": "A second person reinstates the withdrawn parent, or the publisher retrains without it.",
    "independent_evaluation": "An engineer who did not make the version records an evaluation.",
    "manual": "The approvers that the review names decide.",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One stage: `done`, `here` or `ahead`. `at` is when the version reached it."""

    name: str
    state: str
    at: str
    note: str
    blocked: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """What holds a version where it is, and who can supply what is missing."""

    what: str
    who: str
    link: str = ""


def steps(version: Json) -> list[Step]:
    """Return the four stages of a version's way. One that left it is `done` up to where it had come."""
    stage = version["stage"]
    reached = _reached(version)
    found = []
    for at, name in enumerate(STAGES):
        state = "here" if name == stage else "done" if at <= reached else "ahead"
        found.append(Step(name, state, _when(version, name), _note(version, name), _blocked(version, name)))
    return found


def _reached(version: Json) -> int:
    stage = version["stage"]
    if stage in STAGES:
        return STAGES.index(stage)
    if version["promoted"]:
        return 3
    gates = version["gates"]
    return 2 if gates and gates["passed"] else 1 if version["semver"] else 0


def _when(version: Json, name: str) -> str:
    gates, promoted = version["gates"], version["promoted"]
    if name == "Draft":
        return str(version["registered_at"]) if version["stage"] == "Draft" else ""
    if name == "Staging":
        return str(version["registered_at"]) if version["semver"] else ""
    if name == "Validated":
        return str(gates["at"]) if gates and gates["passed"] else ""
    return str(promoted["at"]) if promoted else ""


def _note(version: Json, name: str) -> str:
    gates, promoted = version["gates"], version["promoted"]
    if name == "Draft":
        return "metadata complete" if version["semver"] else "metadata incomplete"
    if name == "Staging":
        return "registered" if version["semver"] else ""
    if name == "Validated" and gates:
        passed = sum(1 for r in gates["results"] if r["passed"])
        return f"{passed} of {len(gates['results'])} gates passed"
    if name == "Production" and promoted:
        return "by override" if promoted["override"] else f"{len(promoted['approvers'])} approved"
    return ""


def _blocked(version: Json, name: str) -> bool:
    gates = version["gates"]
    return bool(name == version["stage"] == "Staging" and gates and not gates["passed"])


def held(version: Json, gates: Json | None, reviews: Sequence[Json]) -> list[Held]:
    """Return what holds the version where it is; nothing for one in Production that may be used."""
    if version["withdrawn"]:
        return [
            Held(
                f"It is withdrawn: {version['withdrawn']}",
                "Another engineer reinstates it, if this was a mistake.",
            )
        ]
    if version["retired"]:
        return [
            Held("It is retired: cleanup took it out of use.", "No one brings it back; publish it again.")
        ]
    match version["stage"]:
        case "Draft":
            missing = version["missing"] or ()
            if not missing:
                return []
            return [Held(f"Missing metadata: {', '.join(missing)}", SUPPLIERS["metadata_complete"])]
        case "Staging":
            return _held_in_staging(version, gates)
        case "Validated":
            return _held_before_production(version, reviews)
        case "Rejected":
            return [
                Held(one, "A rejection is final; publish a new version.") for one in version["reasons"] or ()
            ]
        case "Archived":
            return [
                Held(
                    "It served before, or was retired.",
                    "An engineer reopens it, or a rollback returns to it.",
                )
            ]
    return []


def _held_in_staging(version: Json, gates: Json | None) -> list[Held]:
    waits = (gates or {}).get("waits_for") or []
    found = [
        Held(f"waits for {one}", SUPPLIERS["artifact_verified"] if "artifact" in one else "") for one in waits
    ]
    results = version["gates"]["results"] if version["gates"] else []
    found += [
        Held(f"{r['gate'].replace('_', ' ')}: {r['detail']}", SUPPLIERS.get(r["gate"], ""))
        for r in results
        if not r["passed"]
    ]
    return found or [
        Held("Its gates are not assessed yet.", "Approval assesses them when the files are verified.")
    ]


def _held_before_production(version: Json, reviews: Sequence[Json]) -> list[Held]:
    waiting = [r for r in reviews if r["number"] == version["number"] and r["state"] == "open"]
    if waiting:
        return [
            Held(
                f"The review for {r['environment']} has {len(r['approvers'])} of {r['needs']} approvals.",
                f"A person with the role {' or '.join(r['roles'])} decides, not the maker or requester.",
                f"/reviews/{r['review_id']}",
            )
            for r in waiting
        ]
    refused = [p for p in version["promotions"] if p["state"] == "refused"]
    if refused:
        last = max(refused, key=lambda p: str(p["requested_at"]))
        why = "; ".join(last["reasons"] or ()) or "no reason was recorded"
        return [Held(f"The last request was refused: {why}", "An engineer requests promotion again.")]
    return [Held("No one has requested its promotion.", "An engineer requests it.")]
