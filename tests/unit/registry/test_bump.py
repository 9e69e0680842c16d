from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from semver import Version

from services.registry.domain.model.metadata import (
    Artifact,
    Code,
    Dataset,
    Framework,
    Input,
    Metadata,
    Metric,
    Output,
    Parent,
)
from services.registry.domain.versioning.bump import (
    LEVELS,
    MOST_CHANGES,
    Base,
    BumpPolicy,
    Claim,
    ClaimRefused,
    Taken,
    decide_number,
    proven,
)
from tests.unit.registry.given import SIGNATURE, a_digest, metadata

OLD = metadata(1)


def retrained(**training) -> Metadata:
    return metadata(2, **training)


def a_metric(
    value: float, *, data: object = "test", definition: str | None = None, primary: bool = True
) -> tuple[Metric, ...]:
    return (Metric("auc", value, a_digest(data), "test", definition, primary=primary),)


@pytest.mark.parametrize(
    ("new", "level", "rule"),
    [
        (retrained(), "patch", "model.retrained"),
        (retrained(dataset=Dataset("more", a_digest("more"))), "patch", "data.changed"),
        (retrained(seed=7), "patch", "seed.changed"),
        (retrained(environment={"python": "3.12"}), "patch", "environment.changed"),
        (
            retrained(config={"depth": 3, "out_dir": "/elsewhere", "random_seed": 5}),
            "patch",
            "model.retrained",
        ),
        (
            retrained(config={"depth": 3, "out_dir": "/runs/1", "trainer": {"run_id": "x"}}),
            "patch",
            "model.retrained",
        ),
        (retrained(config={"depth": 4, "out_dir": "/runs/1"}), "minor", "config.changed"),
        (
            retrained(config={"depth": 3, "out_dir": "/runs/1", "nested": {"rate": 0.1}}),
            "minor",
            "config.added",
        ),
        (retrained(code=Code(a_digest("other"), "abc")), "minor", "code.changed"),
        (retrained(code=Code(a_digest("code"), "another night")), "patch", "model.retrained"),
        (retrained(features=("age", "x")), "minor", "features.added"),
        (retrained(framework=Framework("scikit-learn", "1.8")), "minor", "framework.changed"),
        (retrained(metrics=a_metric(0.93)), "minor", "metrics.better"),
        (retrained(metrics=a_metric(0.85)), "minor", "metrics.worse"),
        (retrained(metrics=a_metric(0.901)), "patch", "model.retrained"),
        (retrained(metrics=a_metric(0.5, data="other")), "patch", "model.retrained"),
        (retrained(metrics=a_metric(0.5, definition="weighted")), "patch", "model.retrained"),
        (retrained(metrics=a_metric(0.5, primary=False)), "patch", "model.retrained"),
    ],
)
def test_what_changed_in_training_proves_a_level(new, level, rule):
    proof = proven("model", OLD, new)
    assert (proof.level, proof.rule) == (level, rule)


@pytest.mark.parametrize(
    ("inputs", "outputs", "level"),
    [
        ((Input("age", "double"), Input("x", "double")), SIGNATURE.outputs, "major"),
        ((Input("age", "double"), Input("x", "double", required=False)), SIGNATURE.outputs, "minor"),
        ((), SIGNATURE.outputs, "major"),
        ((Input("age", "float"),), SIGNATURE.outputs, "major"),
        ((Input("age", "any"),), SIGNATURE.outputs, "minor"),
        ((Input("age", "float64"),), SIGNATURE.outputs, "patch"),
        ((Input("age", "double", required=False),), SIGNATURE.outputs, "minor"),
        ((Input("age", "double", unit="years"),), SIGNATURE.outputs, "major"),
        (SIGNATURE.inputs, (Output("label", "string", labels=("no", "yes", "maybe")),), "major"),
        (SIGNATURE.inputs, (Output("label", "string", labels=("yes", "no")),), "major"),
        (SIGNATURE.inputs, (*SIGNATURE.outputs, Output("score", "double")), "major"),
        (SIGNATURE.inputs, (), "major"),
        (SIGNATURE.inputs, (Output("label", "long", labels=("no", "yes")),), "major"),
    ],
)
def test_what_callers_notice_is_major_and_what_they_may_use_is_minor(inputs, outputs, level):
    new = replace(retrained(), signature=replace(SIGNATURE, inputs=inputs, outputs=outputs))
    assert proven("model", OLD, new).level == level


def of_columns(*columns: str, type_: str = "tensor(float)", stated: bool = False) -> Metadata:
    """Trained on these columns, which are sent as one array."""
    named = {"x": columns} if stated else None
    signature = replace(SIGNATURE, inputs=(Input("x", type_),), columns=named)
    return replace(retrained(features=columns), signature=signature)


@pytest.mark.parametrize("type_", ["float32[?,2]", "float[N, 2]", "tensor(float)", "double[-1,-1]"])
@pytest.mark.parametrize("stated", [True, False])
def test_swapped_columns_of_an_array_are_major(type_, stated):
    old, new = (of_columns(*names, type_=type_, stated=stated) for names in (("a", "b"), ("b", "a")))
    proof = proven("model", old, new)
    assert (proof.level, proof.rule) == ("major", "signature.columns_changed")
    assert proven("model", old, old).level == "patch"


def test_columns_that_are_not_named_any_more_are_listed_and_minor():
    """Otherwise two PATCHes in a row, without names and then with others, would hide a swap."""
    named, not_named = (
        replace(of_columns("a", "b", stated=stated), training=OLD.training) for stated in (True, False)
    )
    proof = proven("model", named, not_named)
    assert (proof.level, proof.rule) == ("minor", "signature.columns_not_named")


def test_features_that_are_no_columns_of_the_array_do_not_name_them():
    image = (replace(of_columns(*names, type_="uint8[?,224,224,3]")) for names in (("a", "b"), ("b", "a")))
    assert proven("model", *image).level == "minor"
    text = (replace(of_columns(*names, type_="string")) for names in (("a", "b"), ("b", "a")))
    assert proven("model", *text).level == "minor"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("float32[?, 4]", "float32[?,4]"),
        ("float[?,4]", "float32[-1,4]"),
        ("bool", "bool_"),
        ("object", "string"),
        ("tensor(double)", "float64"),
        ("float32[1,4]", "float32[N,4]"),
        ("float32[?,4]", "float64[?,4]"),
        ("int64", "float64"),
        ("datetime64[ns]", "datetime64[us]"),
        ("int64", "Int64"),
    ],
)
def test_an_input_that_takes_all_that_it_took_is_not_major(old, new):
    one, two = (
        replace(retrained(), signature=replace(SIGNATURE, inputs=(Input("x", t),))) for t in (old, new)
    )
    assert proven("model", one, two).level in {"patch", "minor"}


@pytest.mark.parametrize("kind", ["embedding", "preprocessing"])
def test_a_retrained_embedding_or_tokenizer_is_major(kind):
    proof = proven(kind, OLD, retrained())
    assert (proof.level, proof.rule) == ("major", f"{kind}.retrained")


def test_an_adapter_of_another_base_model_is_major():
    one, two = (replace(OLD, parents=(Parent("m", n, "base_model", "id"),)) for n in (1, 2))
    assert proven("adapter", one, two).level == "major"
    assert proven("model", one, two).level == "minor"


def test_metrics_on_other_data_are_not_comparable():
    (change,) = [
        c
        for c in proven("model", OLD, retrained(metrics=a_metric(0.99, data="other"))).changes
        if c.part == "metrics"
    ]
    assert (change.what, change.level) == ("not comparable", None)


@pytest.mark.parametrize(
    ("before", "after", "level"),
    [
        (0.5, 0.51, "minor"),
        (0.5, 0.49, "minor"),
        (0.5, 0.5099, "patch"),
        (0.5, 0.4901, "patch"),
        (0.5, 0.5101, "minor"),
        (0.5, 0.4899, "minor"),
        (-100.0, -102.0, "minor"),
        (-100.0, -101.9, "patch"),
        (1e6, 1.02e6, "minor"),
        (1e6, 1.0199e6, "patch"),
        (0.0, 0.0001, "minor"),
        (0.8, 0.816, "minor"),
        (0.65, 0.663, "minor"),
        (0.7, 0.714, "minor"),
        (0.35, 0.343, "minor"),
        (1e-11, 1.0199e-11, "patch"),
        (1e-11, 1.02e-11, "minor"),
    ],
)
def test_the_primary_metric_counts_from_two_percent_of_its_old_value(before, after, level):
    old, new = (metadata(n, metrics=a_metric(value)) for n, value in ((1, before), (2, after)))
    assert proven("model", old, new).level == level


def test_the_threshold_is_the_policys():
    new = retrained(metrics=a_metric(0.901))
    assert proven("model", OLD, new, BumpPolicy(metric_threshold=0.001)).level == "minor"


@pytest.mark.parametrize(
    "config",
    [
        {"drop_path": 0.2},
        {"log_transform": True},
        {"n_seed": 5},
        {"vocab_file": "v2.txt"},
        {"pretrained_path": "/weights/b"},
        {"device": {"precision": "bf16"}},
        {"seed": {"of": {"split": 3}}},
        {"SEED": 3},
        {"logging": {"steps": 3}},
        {"warmup_dir_steps": 3},
        {"base_url": "https://b"},
    ],
    ids=lambda config: next(iter(config)),
)
def test_only_a_listed_key_is_noise_as_it_is_written_and_not_what_is_below_it(config):
    before = {"depth": 3, "out_dir": "/runs/1"}
    proof = proven("model", OLD, retrained(config=before | config))
    assert (proof.level, proof.rule, proof.ignored) == ("minor", "config.added", ())


def test_what_was_ignored_is_listed_beside_the_changes_that_count():
    new = retrained(config={"depth": 4, "out_dir": "/runs/2", "trainer": {"seed": 5}})
    _, bump = decide_number(
        "model", Base(1, Version(1, 0, 0), OLD), new, Claim(), Taken(1, {1: 0}, {"1.0": 0})
    )
    assert bump.ignored == ("training.config.out_dir", "training.config.trainer.seed")
    assert [c.path for c in bump.changes if c.part == "config"] == ["training.config.depth"]


def test_ignored_values_beyond_the_limit_of_an_event_are_counted():
    config = {f"part{n}": {"seed": n} for n in range(MOST_CHANGES + 7)} | OLD.training.config
    _, bump = decide_number(
        "model",
        Base(1, Version(1, 0, 0), OLD),
        retrained(config=config),
        Claim(),
        Taken(1, {1: 0}, {"1.0": 0}),
    )
    assert (bump.level, len(bump.ignored), bump.omitted) == ("patch", MOST_CHANGES, 7)


def test_the_noise_keys_are_the_policys_by_key_or_by_whole_path():
    new = retrained(config={"depth": 9, "out_dir": "/runs/1", "trainer": {"steps": 5}, "steps": 1})
    proof = proven("model", OLD, new, BumpPolicy(noise=("depth", "trainer.steps")))
    assert [c.path for c in proof.ignored] == ["training.config.depth", "training.config.trainer.steps"]
    assert [c.path for c in proof.changes if c.part == "config"] == ["training.config.steps"]


def test_code_named_by_digest_here_and_by_revision_there_counts_as_changed():
    assert (
        proven("model", metadata(1, code=Code(revision="abc")), retrained(code=Code(digest="abc"))).level
        == "minor"
    )


NONE_TAKEN = Taken(-1, {}, {})
BASE = Base(3, Version(1, 1, 3), OLD)
SO_FAR = Taken(1, {1: 1}, {"1.1": 3})
MINOR_CHANGE = retrained(features=("age", "x"))


@pytest.mark.parametrize(
    ("claim", "number", "noted"),
    [
        (Claim(), "1.2.0", ""),
        (Claim(level="minor"), "1.2.0", ""),
        (Claim(level="patch"), "1.2.0", "raised"),
        (Claim(level="major"), "2.0.0", "kept as claimed"),
        (Claim(version="1.1.9"), "1.2.0", "raised"),
        (Claim(version="0.1.0"), "1.2.0", "raised"),
        (Claim(version="1.2.5"), "1.2.5", ""),
        (Claim(version="7.0.0"), "7.0.0", "kept as claimed"),
        (Claim(version="1.2.0", exact=True), "1.2.0", ""),
    ],
)
def test_a_smaller_claim_is_raised_and_a_larger_one_kept(claim, number, noted):
    version, bump = decide_number("model", BASE, MINOR_CHANGE, claim, SO_FAR)
    assert str(version) == number
    assert noted in bump.note
    assert bool(bump.note) == bool(noted)
    assert bump.proven == "minor"


@pytest.mark.parametrize("claim", [Claim(level="patch", exact=True), Claim(version="1.1.9", exact=True)])
def test_an_exact_claim_that_is_too_small_is_refused(claim):
    assert isinstance(decide_number("model", BASE, MINOR_CHANGE, claim, SO_FAR), ClaimRefused)


def test_a_taken_number_gives_way_to_the_next_free_one_of_its_level():
    taken = Taken(2, {1: 4, 2: 0}, {"1.1": 8, "1.4": 0, "2.0": 0})
    assert str(decide_number("model", BASE, retrained(), Claim(), taken)[0]) == "1.1.9"
    assert (
        str(decide_number("model", BASE, MINOR_CHANGE, Claim(), Taken(2, {1: 2}, {"1.1": 8, "1.2": 0}))[0])
        == "1.3.0"
    )
    assert str(decide_number("model", BASE, retrained(), Claim(level="major"), taken)[0]) == "3.0.0"


def test_a_claimed_number_that_is_taken_is_noted_or_refused_when_exact():
    taken = Taken(1, {1: 2}, {"1.1": 3, "1.2": 0})
    version, bump = decide_number("model", BASE, MINOR_CHANGE, Claim(version="1.2.0"), taken)
    assert (str(version), "taken" in bump.note) == ("1.3.0", True)
    assert isinstance(
        decide_number("model", BASE, MINOR_CHANGE, Claim(version="1.2.0", exact=True), taken), ClaimRefused
    )


def test_the_first_version_may_be_claimed():
    assert str(decide_number("model", None, OLD, Claim(version="0.3.0"), NONE_TAKEN)[0]) == "0.3.0"
    assert str(decide_number("model", None, OLD, Claim(level="minor"), NONE_TAKEN)[0]) == "1.0.0"


EDITS = {
    "data": lambda m: replace(m, training=replace(m.training, dataset=Dataset("x", a_digest("x")))),
    "seed": lambda m: replace(m, training=replace(m.training, seed=99)),
    "environment": lambda m: replace(m, training=replace(m.training, environment={"python": "4"})),
    "artifact": lambda m: replace(m, artifact=Artifact(a_digest("bytes"))),
    "config": lambda m: replace(m, training=replace(m.training, config={"depth": 9})),
    "code": lambda m: replace(m, training=replace(m.training, code=Code(a_digest("y")))),
    "features": lambda m: replace(m, training=replace(m.training, features=("a", "b"))),
    "framework": lambda m: replace(m, training=replace(m.training, framework=Framework("torch"))),
    "metric": lambda m: replace(m, training=replace(m.training, metrics=a_metric(0.1))),
    "other metric": lambda m: replace(
        m, training=replace(m.training, metrics=(*m.training.metrics, Metric("f1", 0.5, "d")))
    ),
    "optional input": lambda m: replace(
        m, signature=replace(m.signature, inputs=(*m.signature.inputs, Input("o", "int", required=False)))
    ),
    "required input": lambda m: replace(
        m, signature=replace(m.signature, inputs=(*m.signature.inputs, Input("r", "int")))
    ),
    "output": lambda m: replace(m, signature=replace(m.signature, outputs=())),
    "parents": lambda m: replace(m, parents=(Parent("p", 1, "base_model", "id"),)),
}
edits = st.lists(st.sampled_from(sorted(EDITS)), unique=True)
kinds = st.sampled_from(["model", "adapter", "embedding", "preprocessing", "prompt"])


def edited(names: list[str]) -> Metadata:
    document = OLD
    for name in names:
        document = EDITS[name](document)
    return document


@given(kinds, edits, st.sampled_from(sorted(EDITS)))
def test_one_more_change_never_lowers_the_bump(kind, some, one_more):
    if {some_ for some_ in some if some_ in {"metric", "other metric"}} and one_more in {
        "metric",
        "other metric",
    }:
        return  # the second edit would take the first roll_back, not add to it
    fewer, more = (proven(kind, OLD, edited(names)).level for names in (some, [*some, one_more]))
    assert LEVELS.index(more) >= LEVELS.index(fewer)


versions = st.builds(Version, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
claims = st.one_of(
    st.just(Claim()),
    st.builds(Claim, level=st.sampled_from(LEVELS)),
    st.builds(Claim, version=versions.map(str), exact=st.booleans()),
)


@given(st.lists(st.tuples(kinds, edits, claims, st.integers(0, 30)), max_size=12))
@settings(max_examples=200)
def test_numbers_are_never_given_twice_and_never_below_the_proof(steps):
    taken, given_ = NONE_TAKEN, []
    for kind, names, claim, pick in steps:
        base = Base(1, given_[pick % len(given_)], OLD) if given_ else None
        answer = decide_number(kind, base, edited(names), claim, taken)
        if isinstance(answer, ClaimRefused):
            assert claim.exact
            continue
        version, bump = answer
        assert version not in given_
        if base is not None:
            assert LEVELS.index(bump.level) >= LEVELS.index(bump.proven)
            assert version > base.semver
        given_.append(version)
        line = f"{version.major}.{version.minor}"
        taken = Taken(
            max(taken.major, version.major),
            {**taken.minors, version.major: max(taken.minors.get(version.major, -1), version.minor)},
            {**taken.patches, line: max(taken.patches.get(line, -1), version.patch)},
        )
