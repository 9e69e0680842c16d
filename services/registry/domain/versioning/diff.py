"""The differences between the documents of two versions. bump.py decides what level they prove."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from services.registry.domain.model.metadata import (
    Code,
    Framework,
    Metadata,
    Metric,
    Training,
    callers_signature,
)
from services.registry.domain.versioning import signature
from services.registry.domain.versioning.change import Change, Part
from services.registry.domain.versioning.noise import NOISE, is_noise
from shared.deciding.events import encode

IGNORED = "noise: it does not count"
"""The detail of a change of a configuration value that is listed as noise."""


def differences(old: Metadata, new: Metadata, noise: Iterable[str] = NOISE) -> tuple[Change, ...]:
    """Return every difference, signature first. Those of configuration keys in `noise` are IGNORED."""
    a, b = old.training, new.training
    changes = [
        *signature.differences(callers_signature(old), callers_signature(new)),
        *_code(a.code, b.code),
        *_values("config", a.config, b.config, frozenset(noise)),
        *_features(a.features, b.features),
        *_framework(a.framework, b.framework),
        *_parents(old, new),
        *_metrics(a.metrics, b.metrics),
        *_data(a, b),
        *_values("environment", a.environment, b.environment, frozenset()),
    ]
    if a.seed != b.seed:
        changes.append(Change("seed", "training.seed", "changed", a.seed, b.seed))
    before = old.artifact.digest if old.artifact else None
    after = new.artifact.digest if new.artifact else None
    if before != after:
        changes.append(Change("artifact", "artifact.digest", "changed", before, after))
    return tuple(changes)


def _code(old: Code | None, new: Code | None) -> list[Change]:
    """Compare by digest where both have one (a monorepo's revision changes every night), else by revision."""
    if old == new:
        return []
    a, b = old or Code(), new or Code()
    name = "digest" if a.digest and b.digest else "revision" if a.revision and b.revision else ""
    before, after = (
        (getattr(a, name), getattr(b, name)) if name else (a.digest or a.revision, b.digest or b.revision)
    )
    if before == after and (name or before is None):
        return []
    detail = "" if name else "one version names its code by digest, the other by revision: counted as changed"
    return [Change("code", f"training.code.{name or 'digest'}", "changed", before, after, detail)]


def _values(
    part: Part, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, noise: Collection[str]
) -> list[Change]:
    if encode(old) == encode(new):
        return []
    before, after = dict(leaves(old or {}, ())), dict(leaves(new or {}, ()))
    changes = []
    for path in sorted(before.keys() | after.keys()):
        if _same(before.get(path, _ABSENT), after.get(path, _ABSENT)):
            continue
        what = "added" if path not in before else "removed" if path not in after else "changed"
        detail = IGNORED if is_noise(path, noise) else ""
        where = f"training.{part}." + ".".join(path)
        changes.append(Change(part, where, what, before.get(path), after.get(path), detail))
    return changes


_ABSENT = object()


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and a == b if isinstance(a, bool) or isinstance(b, bool) else a == b


def leaves(value: Mapping[str, Any], at: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], Any]]:
    """Yield the path and the value of everything that is no object."""
    for name, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from leaves(inner, (*at, name))
        else:
            yield (*at, name), inner


def _features(old: tuple[str, ...] | None, new: tuple[str, ...] | None) -> list[Change]:
    if (old or ()) == (new or ()):
        return []
    before, after = set(old or ()), set(new or ())
    changes = [
        Change("features", f"training.features.{n}", "removed", n, None) for n in sorted(before - after)
    ]
    changes += [
        Change("features", f"training.features.{n}", "added", None, n) for n in sorted(after - before)
    ]
    return changes or [Change("features", "training.features", "reordered", list(old or ()), list(new or ()))]


def _framework(old: Framework | None, new: Framework | None) -> list[Change]:
    if old == new:
        return []
    before, after = (f"{f.name} {f.version}".strip() if f else None for f in (old, new))
    return [Change("framework", "training.framework", "changed", before, after)]


def _parents(old: Metadata, new: Metadata) -> list[Change]:
    if old.parents == new.parents:
        return []
    before, after = ({(p.relation, *p.key): str(p) for p in m.parents} for m in (old, new))
    gone = [
        Change("parents", f"parents.{key[0]}", "removed", before[key], None)
        for key in sorted(before.keys() - after.keys())
    ]
    return gone + [
        Change("parents", f"parents.{key[0]}", "added", None, after[key])
        for key in sorted(after.keys() - before.keys())
    ]


def _metrics(old: Sequence[Metric], new: Sequence[Metric]) -> list[Change]:
    """Compare only metrics with the same name, data set and definition.

    All others are "not comparable", never better or worse.
    """
    if old == new:
        return []
    before = {m.comparable_by: m for m in old}
    by_name = {m.name: m for m in old}
    changes = []
    for metric in new:
        same, other = before.get(metric.comparable_by), by_name.get(metric.name)
        path = f"training.metrics.{metric.name}"
        if same is not None and same.value != metric.value:
            changes.append(
                Change(
                    "metrics",
                    path,
                    _moved(same, metric),
                    same.value,
                    metric.value,
                    "primary" if metric.primary else "",
                )
            )
        elif same is None and other is not None:
            why = (
                "another data set" if other.dataset_digest != metric.dataset_digest else "another definition"
            )
            changes.append(Change("metrics", path, "not comparable", other.value, metric.value, why))
        elif same is None:
            changes.append(Change("metrics", path, "added", None, metric.value))
    names = {m.name for m in new}
    return changes + [
        Change("metrics", f"training.metrics.{m.name}", "removed", m.value, None)
        for m in old
        if m.name not in names
    ]


def _moved(old: Metric, new: Metric) -> str:
    return "better" if (new.value > old.value) == new.higher_is_better else "worse"


def _data(old: Training, new: Training) -> list[Change]:
    before = old.dataset.digest if old.dataset else None
    after = new.dataset.digest if new.dataset else None
    return [] if before == after else [Change("data", "training.dataset.digest", "changed", before, after)]
