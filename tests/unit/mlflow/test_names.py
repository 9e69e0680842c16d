"""What MLflow's clients may send as names, tags, aliases, stages and sources."""

from __future__ import annotations

import re
from functools import partial
from urllib.parse import unquote, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.wire import mlflow_names
from regista.wire.names import may_be_new
from services.mlflow import artifacts, names
from services.mlflow.errors import MlflowError
from services.mlflow.sources import ModelUri, model_uri, proxy_path
from services.mlflow.uploads import Location, location_of, location_of_source


@pytest.mark.parametrize("name", ["", "  ", "a/b", "a:b", "..", ".", "a/../b"])
def test_a_model_name_has_no_slash_or_colon(name):
    with pytest.raises(MlflowError, match="INVALID_PARAMETER_VALUE"):
        names.check_name(name)


@pytest.mark.parametrize("name", ["a" * 201, " " + "ü" * 40, "a" * 100_000])
def test_a_name_that_no_model_of_regista_can_have_is_refused(name):
    with pytest.raises(MlflowError, match="INVALID_PARAMETER_VALUE: The name has at most 200"):
        names.check_name(name)
    assert names.check_name("a" * 200) == "a" * 200


@pytest.mark.parametrize("alias", ["", "a b", "a.b", "latest", "Latest", "v1", "V22", "a" * 256])
def test_an_alias_is_a_word_that_is_not_reserved(alias):
    with pytest.raises(MlflowError, match="INVALID_PARAMETER_VALUE"):
        names.check_alias(alias)


@pytest.mark.parametrize("key", ["", "a;b", "../a", "/a", "regista.stage", "a" * 251])
def test_a_tag_of_another_form_or_of_regista_is_refused(key):
    with pytest.raises(MlflowError, match="INVALID_PARAMETER_VALUE"):
        names.check_tags({key: "v"})


def test_tags_that_cannot_be_stored_are_refused_with_the_limit():
    for tags, text in (
        ({"a": "x" * 5_001}, "'value' exceeds the maximum length of 5000 characters"),
        ({"a" * 251: "x"}, "'key' exceeds the maximum length of 250 characters"),
        ({names.PROMPT_TEXT: "x" * 5_001}, "Prompt text exceeds max length of 5000 characters."),
    ):
        with pytest.raises(MlflowError) as refused:
            names.check_tags(tags)
        assert str(refused.value) == f"INVALID_PARAMETER_VALUE: {text}"
    with pytest.raises(MlflowError, match="At most 100 tags"):
        names.check_tags({f"t{n}": "" for n in range(101)})
    assert names.check_tags({"a" * 250: "x" * 5_000})
    assert names.check_tags({"mlflow.note": "", "a b/c-d:e": "ü"}) == {"mlflow.note": "", "a b/c-d:e": "ü"}


def test_stages_are_read_in_any_case():
    assert [names.stage_of(s) for s in ("none", "STAGING", "Production", "archived")] == [
        "None",
        "Staging",
        "Production",
        "Archived",
    ]
    with pytest.raises(MlflowError, match="Invalid Model Version stage: prod"):
        names.stage_of("prod")


@pytest.mark.parametrize("version", ["a", "", "1.5"])
def test_a_version_is_a_number(version):
    with pytest.raises(MlflowError, match="INVALID_PARAMETER_VALUE"):
        names.check_version(version)


@pytest.mark.parametrize("version", ["0", "-1", str(2**31)])
def test_a_number_that_no_version_has_is_not_found_later(version):
    assert names.check_version(version) == 0


@pytest.mark.parametrize(
    "source",
    [
        "s3://b/../x",
        "mlflow-artifacts:/a/%2e%2e/b",
        "http://h/a/..%2f..",
        "a\x00b",
        "s3://u:p@b/x",
        "x" * 2001,
    ],
)
def test_a_source_that_leaves_its_folder_or_has_a_password_is_refused(source):
    with pytest.raises(MlflowError, match="INVALID_PARAMETER_VALUE"):
        names.check_source(source)


@pytest.mark.parametrize(
    "link",
    [
        "https://ghp_0123456789@host.example/repo",
        "http://u:p@host.example/run",
        "//u:p@host.example/run",
        "git+https://ghp_0123456789@host.example/repo",
        "git://token@host.example/repo",
        "git+ssh://u:p@host.example/repo",
        "https://a.example/x?sv=1&sig=abc",
        "https://a.example/x?a=1;SIG=abc",
        "https://a.example/x?%73ig=abc",
        "s3://b/x?X-Amz-Signature=abc",
        "https://a.example/x?X-Amz-Security-Token=abc",
        "https://a.example/x?X-Goog-Signature=abc",
        "https://a.example/x?Signature=abc&AWSAccessKeyId=abc",
        "https://a.example/x?private_token=abc",
        "https://a.example/x#access_token=abc",
    ],
)
def test_a_source_or_link_with_a_secret_is_refused_and_not_repeated_in_the_answer(link):
    for check in (names.check_source, partial(names.check_link, "run_link")):
        with pytest.raises(MlflowError, match=r"_VALUE: '(source|run_link)' has") as refused:
            check(link)
        assert not {"ghp", "abc"} & set(re.split(r"[^a-z]", refused.value.message))


@pytest.mark.parametrize(
    "link",
    [
        "git+ssh://git@host.example/repo",
        "ssh://git@host.example/repo",
        "wasbs://container@account.example/x",
        "abfss://container@account.example/x",
        "s3://b/x?versionId=3",
        "https://a.example/?o=7#mlflow/experiments/1/runs/2",
        "https://a.example/token/sig@v1?tokenizer=a",
        "",
    ],
)
def test_a_source_or_link_without_a_secret_is_taken(link):
    assert (names.check_source(link), names.check_link("run_link", link)) == (link, link)


def nested(levels: int) -> str:
    """A percent sign that is escaped so many times."""
    return f"s3://b/%{'25' * levels}"


@pytest.mark.parametrize("levels", [8, 500_000])
def test_a_source_that_is_escaped_many_times_is_refused_without_reading_it_as_often(monkeypatch, levels):
    passes = []
    monkeypatch.setattr(names, "unquote_plus", lambda text: passes.append(text) or unquote_plus(text))
    with pytest.raises(MlflowError, match="INVALID_PARAMETER_VALUE"):
        names.check_source(nested(levels))
    assert len(passes) < 8


@pytest.mark.parametrize("path", [nested(8), nested(500_000), "a" * 2001])
def test_a_path_that_is_long_or_escaped_many_times_is_refused(monkeypatch, path):
    passes = []
    monkeypatch.setattr(artifacts, "unquote", lambda text: passes.append(text) or unquote(text))
    with pytest.raises(MlflowError, match="Invalid path"):
        artifacts.safe(path)
    assert len(passes) < 8


@pytest.mark.parametrize(
    "source",
    ["s3://b/x", "s3://b/100%2525", "runs:/1/model", "dbfs:/x", "/models/a", "models:/m-1", "path/to"],
)
def test_any_other_source_is_taken(source):
    assert names.check_source(source) == source


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("models:/a/3", ModelUri("models:/a/3", "a", version="3")),
        ("models:/a/Production", ModelUri("models:/a/Production", "a", stage="Production")),
        ("models:/a/latest", ModelUri("models:/a/latest", "a")),
        ("models:/a@b", ModelUri("models:/a@b", "a", alias="b")),
        ("models:/m-123", None),
        ("s3://a/b", None),
    ],
)
def test_a_source_names_a_version_of_this_registry(source, found):
    assert model_uri(source) == found


@pytest.mark.parametrize(
    "source", ["models:/", "models://host/a/1", "models:/a/1/2", "models:/a/", "models:/@b"]
)
def test_a_malformed_version_is_refused(source):
    with pytest.raises(MlflowError, match="Invalid model version source"):
        model_uri(source)


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("mlflow-artifacts:/1/2", "1/2"),
        ("mlflow-artifacts://host:1/a%20b", "a b"),
        ("http://h:1/api/2.0/mlflow-artifacts/artifacts/1/x/", "1/x"),
        ("https://h/p/api/2.0/mlflow-artifacts/artifacts/1", "1"),
        ("http://h/other", None),
        ("http://[h/other", None),
        ("s3://b/api/2.0/mlflow-artifacts/artifacts/1", None),
    ],
)
def test_a_source_may_be_in_the_artifact_proxy(source, path):
    assert proxy_path(source) == path


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("1/models/m-7/artifacts/MLmodel", Location("mlflow/m-7", "MLmodel")),
        ("1/models/m-7/artifacts/data/x.bin", Location("mlflow/m-7", "data/x.bin")),
        ("1/0a1b/artifacts/model/MLmodel", Location("mlflow/0a1b/model", "MLmodel")),
        ("1/0a1b/artifacts/plot.png", Location("mlflow/0a1b", "plot.png")),
        ("churn/MLmodel", Location("mlflow/churn", "MLmodel")),
        ("file", Location("mlflow", "file")),
    ],
)
def test_a_file_of_the_proxy_belongs_to_the_upload_of_its_model_or_run(path, location):
    assert location_of(path) == location


@pytest.mark.parametrize(
    ("source", "location"),
    [
        ("models:/m-7", Location("mlflow/m-7")),
        ("runs:/0a1b/model", Location("mlflow/0a1b/model")),
        ("mlflow-artifacts:/1/0a1b/artifacts/model", Location("mlflow/0a1b/model")),
        ("mlflow-artifacts:/1/models/m-7/artifacts", Location("mlflow/m-7")),
        ("s3://b/x", None),
        ("runs:/", None),
    ],
)
def test_a_source_finds_the_upload_of_its_files(source, location):
    assert location_of_source({"uri": source}) == location


@pytest.mark.parametrize(
    ("name", "in_regista"),
    [
        ("crm.churn_2-a", "crm.churn_2-a"),
        ("My model 2", "My_x20_model_x20_2"),
        ("Größe", "Gr_xf6__xdf_e"),
        ("a_x20_b", "a_x5f_x20_b"),
        ("🤖", "x0_x1f916_"),
        ("模型 1.模型", "x0_x6a21__x578b__x20_1.x0_x6a21__x578b_"),
        ("_x20_b", "x0_x5f_x20_b"),
        ("x0Größe", "x0Gr_xf6__xdf_e"),
        ("x0ß", "x0_x78_0_xdf_"),
    ],
)
def test_any_name_of_mlflow_has_one_in_regista_and_is_read_back(name, in_regista):
    assert may_be_new(in_regista)
    assert (mlflow_names.written(name), mlflow_names.read(in_regista)) == (in_regista, name)


@given(
    st.text(
        alphabet=st.one_of(st.sampled_from("x0_57816ef.- ß模"), st.characters(codec="utf-8")), max_size=12
    )
)
def test_no_two_names_of_mlflow_have_one_in_regista(name):
    assert mlflow_names.read(mlflow_names.written(name)) == name


def test_a_pattern_on_names_keeps_its_wildcards():
    assert mlflow_names.pattern("My model%_") == r"My\_x20\_model%_"
    assert mlflow_names.pattern("über%.ä_") == r"x0\_xfc\_ber%.x0\_xe4\__"
    assert mlflow_names.pattern("%ä") == r"%\_xe4\_"


def test_a_model_of_regista_that_looks_escaped_is_shown_as_it_is_where_it_cannot_be_read():
    assert mlflow_names.read("a_xffffff_b") == "a_xffffff_b"
