"""Row changes have the same result one by one and merged into one commit."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Column, Index, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from shared.deciding.changes import Change, Drop, Patch, Put
from shared.log.read_models import Merged, copy_row, create_sql, index_sql, patch_sql, put_sql, shape_of

ITEMS = Table(
    "items", MetaData(), Column("id", Text, primary_key=True), Column("n", BigInteger), Column("doc", JSONB)
)

keys = st.sampled_from(["a", "b"])
changes = st.one_of(
    st.builds(lambda k, n: Put(ITEMS, {"id": k, "n": n}), keys, st.integers(0, 9)),
    st.builds(lambda k, n: Patch(ITEMS, {"id": k}, {"n": n}), keys, st.integers(0, 9)),
    st.builds(lambda k, d: Patch(ITEMS, {"id": k}, {"doc": d}), keys, st.integers(0, 9)),
    st.builds(lambda k: Drop(ITEMS, {"id": k}), keys),
)


def _one_by_one(rows: dict[str, dict[str, Any]], changes: list[Change]) -> dict[str, dict[str, Any]]:
    rows = {key: dict(row) for key, row in rows.items()}
    for change in changes:
        if isinstance(change, Put):
            rows[change.row["id"]] = {"n": None, "doc": None, **change.row}
        elif isinstance(change, Drop):
            rows.pop(change.key["id"], None)
        elif change.key["id"] in rows:
            rows[change.key["id"]].update(change.columns)
    return rows


def _merged(rows: dict[str, dict[str, Any]], changes: list[Change]) -> dict[str, dict[str, Any]]:
    """What `readmodels.apply` does with its statements: drops, then puts, then patches."""
    rows = {key: dict(row) for key, row in rows.items()}
    merged = Merged()
    merged.add(changes)
    for (key,) in merged.drops[ITEMS]:
        rows.pop(key, None)
    for (key,), row in merged.puts[ITEMS].items():
        rows[key] = {"n": None, "doc": None, **row}
    for (key,), columns in merged.patches[ITEMS].items():
        if key in rows:
            rows[key].update(columns)
    return rows


@given(st.lists(changes, max_size=12), st.booleans())
def test_merging_the_changes_of_a_commit_changes_nothing_about_the_rows(
    several: list[Change], there_before: bool
) -> None:
    before = {"a": {"id": "a", "n": 0, "doc": None}} if there_before else {}
    assert _merged(before, several) == _one_by_one(before, several)


@given(st.lists(changes, max_size=12), st.integers(0, 12))
def test_where_a_commit_ends_does_not_matter(several: list[Change], cut: int) -> None:
    assert _merged(_merged({}, several[:cut]), several[cut:]) == _merged({}, several)


def test_statements_name_the_generation_or_the_view() -> None:
    assert '"s"."items_g2"' in put_sql(ITEMS, "s", "_g2")
    assert '"s"."items" ' in put_sql(ITEMS, "s")
    assert 'SET "doc" = x."doc"::JSONB' in patch_sql(ITEMS, "s", ("doc",))


def test_json_is_copied_as_text_in_the_order_of_columns() -> None:
    assert copy_row(ITEMS, {"doc": {"b": 1, "a": 2}, "id": "x"}) == ("x", None, b'{"a":2,"b":1}')


def test_an_index_belongs_to_the_shape() -> None:
    indexed = Table(
        "items",
        MetaData(),
        Column("id", Text, primary_key=True),
        Column("n", BigInteger),
        Index("items_n", "n"),
    )
    assert shape_of([indexed]) != shape_of([ITEMS])
    assert any("items_n_g3" in statement for statement in index_sql(indexed, "s", "_g3"))
    assert "SERIAL" not in create_sql(indexed, "s", "_g3")
