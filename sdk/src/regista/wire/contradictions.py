"""What a publication states twice, or otherwise than elsewhere in it. The client and the registry refuse it.

Each function yields the field and the problem.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence

from regista.wire.type_spellings import parsed

Found = Iterator[tuple[str, str]]


def of_metrics(metrics: Sequence[tuple[Hashable, bool]]) -> Found:
    """Check metrics, each with what makes two of them comparable, and whether it is primary."""
    if len({key for key, _ in metrics}) < len(metrics):
        yield "training.metrics", "the same metric on the same data is given twice: give it once"
    if sum(primary for _, primary in metrics) > 1:
        yield "training.metrics", "more than one metric is primary: mark one"


def of_schema(
    inputs: Sequence[tuple[str, str]], outputs: Sequence[str], columns: Mapping[str, Sequence[str]]
) -> Found:
    """Check inputs (name and type), names of outputs, and the columns of inputs that are arrays."""
    types = dict(inputs)
    for part, names in (("inputs", [name for name, _ in inputs]), ("outputs", outputs)):
        if len(set(names)) < len(names):
            yield f"signature.{part}", "a name is given twice: names are unique"
    for name, named in columns.items():
        yield from _of_columns(name, types.get(name), named)


def _of_columns(name: str, type_: str | None, named: Sequence[str]) -> Found:
    field = f"signature.columns.{name:.100}"
    if type_ is None:
        yield field, "there is no input of this name: name the columns of an input"
        return
    if len(set(named)) < len(named):
        yield field, "a column is named twice: names are unique"
    shape = parsed(type_).shape
    size = shape[-1] if shape else None
    if isinstance(size, int) and size != len(named):
        yield field, f"{len(named):,} columns are named, and {type_:.100} has {size:,}: name each of them"


def of_parents(keys: Collection[Hashable]) -> Found:
    """Check parents, by what makes two of them the same one."""
    if len(set(keys)) < len(keys):
        yield "parents", "a parent is given twice: give it once"


def is_outside(model: str) -> bool:
    """Return whether a parent's name is that of a model elsewhere: a URL."""
    return "://" in model


def of_parent(position: int, model: str, number: int | None, digest: str | None) -> Found:
    """Check the fields that a parent needs: here a number, elsewhere a digest."""
    if not is_outside(model):
        if not number:
            yield f"parents.{position}.number", "missing: give the number of the parent's version"
        return
    if number:
        text = "a parent that is not in this registry has no number: leave it out"
        yield f"parents.{position}.number", text
    if not digest:
        yield (
            f"parents.{position}.digest",
            f"missing: give the digest of the bytes of {model:.100}, because what a URL names may change",
        )
