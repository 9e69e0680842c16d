"""The kinds of gate that a policy may name.

To add a kind: write a class of its parameters (its docstring goes into the public API document) and its check
in gate_checks.py, and add a line to KINDS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import msgspec

from services.approval.domain import gate_checks as checks
from services.approval.domain.evidence import Evidence, digest_of
from services.approval.domain.gate_checks import Finding, Manual, MetricThreshold, duration
from services.approval.domain.sign_in import SignInAsked

ROLES = ("publisher", "engineer", "approver", "auditor", "admin")
"""The roles that a manual gate may require.

`override` is not one of them: it is only for the break-glass override.
"""


@dataclass(frozen=True, slots=True)
class Gate:
    """One rule of a policy, as data. `name` is its name in results; empty means its kind (and metric)."""

    kind: str
    params: dict[str, Any]
    name: str = ""

    @property
    def title(self) -> str:
        metric = self.params.get("metric")
        return self.name or (f"{self.kind}:{metric}" if metric else self.kind)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one gate.

    `detail`: what was found and, when the gate did not pass, what to do next. `inputs_digest`: the digest of
    the evidence that the check read. `tick`: it passes only if each approver accepts it.
    """

    gate: str
    passed: bool
    detail: str
    inputs_digest: str
    tick: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """`params`: the class of its parameters. `check`: None for a gate that people decide."""

    params: type
    check: Callable[[Any, Evidence], Finding] | None

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of its parameters."""
        return tuple(f.name for f in fields(self.params))


KINDS: Mapping[str, Kind] = {
    "metadata_complete": Kind(checks.MetadataComplete, checks.metadata_complete),
    "artifact_verified": Kind(checks.ArtifactVerified, checks.artifact_verified),
    "metric_threshold": Kind(checks.MetricThreshold, checks.metric_threshold),
    "no_regression": Kind(checks.NoRegression, checks.no_regression),
    "schema_compatible": Kind(checks.SchemaCompatible, checks.schema_compatible),
    "lineage_sound": Kind(checks.LineageSound, checks.lineage_sound),
    "independent_evaluation": Kind(checks.IndependentEvaluation, checks.independent_evaluation),
    "manual": Kind(Manual, None),
}


def params_of(gate: Gate) -> Any:
    """Return the gate's typed parameters.

    Raises ValueError for an unknown kind, an unknown parameter or a wrong value; the message lists the valid
    ones.
    """
    if gate.kind not in KINDS:
        raise ValueError(f"there is no gate of kind {gate.kind!r}; use one of {', '.join(KINDS)}")
    wanted = KINDS[gate.kind].params
    known = KINDS[gate.kind].parameters
    if unknown := gate.params.keys() - set(known):
        raise ValueError(
            f"{gate.kind} has no parameter {', '.join(sorted(unknown))}; it has {', '.join(known) or 'none'}"
        )
    try:
        params: Any = msgspec.convert(gate.params, wanted)
    except msgspec.ValidationError as e:
        raise ValueError(f"{gate.kind}: {e}") from None
    if isinstance(params, MetricThreshold) and params.min is None and params.max is None:
        raise ValueError(f"{gate.title} needs min or max; give at least one")
    if isinstance(params, Manual):
        duration(params.expires_in)
        _check_sign_in(gate.params.get("sign_in"), params.sign_in)
        if params.approvers < 1 or not params.roles:
            raise ValueError("manual needs at least one approver and one role")
        if unexplained := sorted(name for name, why in params.machines.items() if not why.strip()):
            raise ValueError(
                f"say why the machine {unexplained[0]} may approve; give the reason as its value"
            )
        if unknown := set(params.roles) - set(ROLES):
            raise ValueError(
                f"manual cannot require {', '.join(sorted(unknown))}; name roles of {', '.join(ROLES)}"
            )
    return params


def _check_sign_in(given: object, asked: SignInAsked | None) -> None:
    """Raise ValueError for what a sign-in cannot be asked for: a mistyped name would ask for nothing."""
    known = [field.name for field in fields(SignInAsked)]
    if isinstance(given, Mapping) and (unknown := sorted(given.keys() - set(known))):
        raise ValueError(f"sign_in has no {', '.join(unknown)}; it has {', '.join(known)}")
    if asked is not None and asked.max_age:
        duration(asked.max_age)


def is_manual(gate: Gate) -> bool:
    """Return whether people decide the gate. An unknown kind counts as automated, and denies."""
    return gate.kind in KINDS and KINDS[gate.kind].check is None


def check(gate: Gate, evidence: Evidence) -> Result:
    """Check an automated gate on the evidence.

    A gate that this release cannot check (one of a newer release's policy) denies.
    """
    try:
        params = params_of(gate)
    except ValueError as e:
        return Result(gate.title, False, f"cannot be checked: {e}", digest_of([gate.kind]))
    run = KINDS[gate.kind].check
    found = run(params, evidence) if run else Finding(False, "people decide this gate", [])
    return Result(gate.title, found.passed, found.detail, digest_of(found.inputs), found.tick)
