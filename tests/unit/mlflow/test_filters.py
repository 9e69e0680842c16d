"""MLflow's filter language, orders and page tokens."""

from __future__ import annotations

import base64

import pytest

from services.mlflow.errors import MlflowError
from services.mlflow.filters import (
    MODEL_FIELDS,
    MODEL_ORDERS,
    VERSION_FIELDS,
    VERSION_ORDERS,
    offset_of,
    orders,
    parse,
    token_of,
)


def conditions(text, fields=VERSION_FIELDS):
    return [
        (c.get("tag") or c["field"], c["comparison"], c["values"]) for c in parse(text, fields).conditions
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("name = 'a'", [("name", "=", ["a"])]),
        ('name="a b"', [("name", "=", ["a b"])]),
        ("name LIKE 'a%' and run_id = 'r'", [("name", "LIKE", ["a%"]), ("run_id", "=", ["r"])]),
        ("name ilike '%A'", [("name", "ILIKE", ["%A"])]),
        ("run_id IN ('a', 'b')", [("run_id", "IN", ["a", "b"])]),
        ("run_id not in ('a')", [("run_id", "NOT IN", ["a"])]),
        ("version_number >= 3", [("version_number", ">=", ["3"])]),
        ("version_number = '3'", [("version_number", "=", ["3"])]),
        ("source_path != 's3://b/x'", [("source_path", "!=", ["s3://b/x"])]),
        ("attribute.name = 'a'", [("name", "=", ["a"])]),
        ("tags.key = 'v'", [("key", "=", ["v"])]),
        ("tag.`a key.b` LIKE '%v'", [("a key.b", "LIKE", ["%v"])]),
        ("tags.\"a b\" != 'its'", [("a b", "!=", ["its"])]),
        ("name = 'it''s'", [("name", "=", ["it''s"])]),
        ("name = 'a\\' AND run_id = 'r'", [("name", "=", ["a\\"]), ("run_id", "=", ["r"])]),
        ("name IN ('a',) AND run_id = 'r'", [("name", "IN", ["a"]), ("run_id", "=", ["r"])]),
        ("tags.version_number = '-1'", [("version_number", "=", ["-1"])]),
        ("version_number > -1", [("version_number", ">", ["0"])]),
    ],
)
def test_a_filter_becomes_conditions(text, expected):
    assert conditions(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "name",
        "name = ",
        "name = a",
        "name = 'a' OR name = 'b'",
        "name = 'a' AND",
        "AND name = 'a'",
        "name > 'a'",
        "name = 'a' name = 'b'",
        "owner = 'a'",
        "metric.auc = '1'",
        "run_id IN ()",
        "run_id IN ('a'",
        "run_id IN ('a' 'b')",
        "run_id IN",
        "version_number = --1",
        "tags. = 'a'",
        "tags.`` = 'a'",
        "run_id IN 'a'",
        "source_path IN ('a')",
        "version_number LIKE '3%'",
        "version_number = 1.5",
        "version_number = 'three'",
        "tags.a > 'b'",
        "tags.a IN ('b')",
        "name = 3",
        "name = 'a'; DROP TABLE x",
        "name = 'unfinished",
        "🤖 = 'a'",
        "name = 'a' " * 2_000,
    ],
)
def test_what_is_no_filter_is_invalid_and_never_a_fault(text):
    with pytest.raises(MlflowError) as refused:
        parse(text, VERSION_FIELDS)
    assert (refused.value.code, refused.value.status) == ("INVALID_PARAMETER_VALUE", 400)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run_id IN ()", "but got empty list"),
        ("run_id IN (1, 2)", r"but got different type in list: \(1 , 2\)"),
        ("run_id IN ('a',,'b')", "but got ill-formed list"),
        ("run_id IN (,)", "but got ill-formed list"),
        ("run_id IN (", r"Invalid clause\(s\) in filter string"),
        ("name = true", r"Invalid clause\(s\) in filter string"),
        ("owner = NULL", r"Invalid clause\(s\) in filter string"),
        ("owner = a", "Invalid attribute key 'owner'"),
        ("name = a", "is either not quoted"),
        ("source_path IN ('a')", r"Only \['name', 'run_id'\] attributes support"),
        ("version_number IN ('1')", r"Only \['name', 'run_id'\] attributes support"),
    ],
)
def test_a_wrong_filter_gets_the_message_that_mlflow_has_for_it(text, message):
    with pytest.raises(MlflowError, match=message):
        parse(text, VERSION_FIELDS)


def test_models_are_searched_by_name_and_tags_only():
    assert conditions("name = 'a' AND tags.t = 'x'", MODEL_FIELDS) == [
        ("name", "=", ["a"]),
        ("t", "=", ["x"]),
    ]
    with pytest.raises(MlflowError, match="Invalid attribute key 'run_id'"):
        parse("run_id = 'a'", MODEL_FIELDS)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("= 'true'", True),
        ("= 'True'", True),
        ("!= 'false'", True),
        ("= 'false'", False),
        ("!= 'true'", False),
    ],
)
def test_the_tag_of_prompts_states_whether_prompts_are_wanted(text, wanted):
    found = parse(f"name = 'a' AND tags.`mlflow.prompt.is_prompt` {text}", MODEL_FIELDS)
    assert (found.prompts, len(found.conditions)) == (wanted, 1)


def test_orders_are_of_known_fields_in_either_direction():
    assert orders(['"name" DESC', "`creation_timestamp`", "last_updated_timestamp asc"], VERSION_ORDERS) == [
        {"field": "name", "descending": True},
        {"field": "creation_timestamp", "descending": False},
        {"field": "last_updated_timestamp", "descending": False},
    ]
    assert orders(["timestamp DESC"], MODEL_ORDERS) == [
        {"field": "last_updated_timestamp", "descending": True}
    ]


@pytest.mark.parametrize("clause", ["", "owner", "name UP", "name ASC DESC", "name, version_number"])
def test_another_order_is_invalid(clause):
    with pytest.raises(MlflowError, match=r"order|Invalid attribute key"):
        orders([clause], VERSION_ORDERS)
    with pytest.raises(MlflowError, match="duplicate"):
        orders(["name", "name DESC"], VERSION_ORDERS)


def test_models_are_ordered_by_name_and_time_of_the_last_change_only():
    with pytest.raises(MlflowError, match="Invalid order by key 'creation_timestamp' specified"):
        orders(["name", "creation_timestamp"], MODEL_ORDERS)
    with pytest.raises(MlflowError, match="Invalid attribute key 'run_id' specified"):
        orders(["run_id"], VERSION_ORDERS)


def test_a_page_token_is_an_offset():
    assert [offset_of(""), offset_of(token_of(100))] == [0, 100]


@pytest.mark.parametrize(
    "text", ["x", "e30=", '{"offset": -1}', '{"offset": "1"}', "[1]", '{"offset": true}', "ä"]
)
def test_another_token_is_invalid(text):
    for token in (text, base64.b64encode(text.encode()).decode()):
        with pytest.raises(MlflowError, match="token"):
            offset_of(token)
