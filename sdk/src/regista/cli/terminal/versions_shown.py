"""Columns of versions in lists: bump, gates, remarks, where they serve and served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regista.cli.terminal.output import text, to_the_second


def bump(version: Mapping[str, Any]) -> str:
    return f"{version['bump_level']} ({version.get('bump_rule') or ''})" if version.get("bump_level") else ""


def metric(version: Mapping[str, Any]) -> str:
    """Return name and value of the primary metric, and the data that it was measured on."""
    found = version.get("primary_metric")
    if not isinstance(found, Mapping):
        return ""
    data = found.get("dataset_name") or str(found.get("dataset_digest") or "")[:19]
    by_others = ", independent" if found.get("independent") is True else ""
    return f"{found.get('name')} {text(found.get('value'))} on {data}{by_others}"


def remarks(version: Mapping[str, Any]) -> str:
    remarks = [f"missing {', '.join(version['missing'])}"] if version.get("missing") else []
    remarks += ["blocked by a gate"] if version.get("gates_passed") is False else []
    remarks += [
        str(r.get("detail", r) if isinstance(r, Mapping) else r) for r in version.get("reasons") or ()
    ]
    remarks += [
        f"{what}: {version[field]}"
        for field, what in (("legal_hold", "legal hold"), ("withdrawn", "withdrawn"))
        if version.get(field)
    ]
    remarks += list(version.get("withdrawn_ancestors") or ())
    remarks += ["a withdrawal is proposed"] if version.get("withdrawal_proposed") else []
    remarks += ["retired"] if version.get("retired") else []
    return "; ".join(remarks)


def use(version: Mapping[str, Any]) -> str:
    generation = version.get("generation") or 0
    return f"made from one, {generation} back" if version.get("use") == "parent" else str(version.get("use"))


def served(version: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{s['environment']} until {to_the_second(s['until'])}"
        for s in version.get("served") or ()
        if s["until"]
    )


def serves(version: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{r['environment']} ({r['role']}, {r['percent']:g} %)" for r in version.get("rollouts") or ()
    )
