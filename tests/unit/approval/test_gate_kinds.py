"""Each kind of gate on evidence: what passes, what denies, and which next step the verdict names."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from services.approval.domain.evidence import Evidence, evidence_digest, newest, sealed_evidence_digest
from services.approval.domain.gate_kinds import KINDS, Gate, check
from services.approval.domain.noted import Champion, Evaluation, Signature, SignatureField
from services.approval.shapes.policies import GateBody

EVIDENCE = Evidence(
    "m", "team.churn", "model", "medium", 2, "1.1.0", "sha256:v", "sha256:a", "released", makers=("carl",)
)


def measured(value: float | None, metric: str = "accuracy", data: str | None = "d1", **more) -> Evaluation:
    return Evaluation(metric, value, data, data and f"set {data}", **more)


def evidence(*evaluations: Evaluation, champion: tuple[Evaluation, ...] | None = None, **more) -> Evidence:
    against = Champion(1, "1.0.0", "sha256:b", evaluations=champion) if champion is not None else None
    return replace(EVIDENCE, evaluations=newest(evaluations), champion=against, **more)


def passes(gate: Gate, e: Evidence) -> bool:
    return check(gate, e).passed


def test_missing_metadata_is_named():
    assert passes(Gate("metadata_complete", {}), EVIDENCE)
    result = check(Gate("metadata_complete", {}), evidence(missing=("dataset digest", "creator")))
    assert not result.passed
    assert "dataset digest, creator" in result.detail


@pytest.mark.parametrize("state", ["", "mismatched", "quarantined", "recalled", "expired", "deleted"])
def test_only_a_released_artifact_is_verified(state):
    assert passes(Gate("artifact_verified", {}), EVIDENCE)
    assert not passes(Gate("artifact_verified", {}), evidence(artifact=state))


AT_LEAST = Gate("metric_threshold", {"metric": "accuracy", "min": 0.9})


@pytest.mark.parametrize(
    ("value", "passed"),
    [(0.95, True), (0.9, True), (0.89, False), (None, False), (math.nan, False), (math.inf, False)],
)
def test_a_threshold_holds_or_denies(value, passed):
    assert passes(AT_LEAST, evidence(measured(value))) is passed


def test_a_metric_that_was_not_measured_denies_and_names_the_next_step():
    result = check(AT_LEAST, evidence(measured(0.99, "f1")))
    assert not result.passed
    assert "record an evaluation" in result.detail


def test_without_a_named_data_set_every_one_must_hold():
    both = evidence(measured(0.95, data="d1"), measured(0.5, data="d2"))
    assert not passes(AT_LEAST, both)
    assert passes(Gate("metric_threshold", {"metric": "accuracy", "min": 0.9, "dataset": "set d1"}), both)
    assert not passes(
        Gate("metric_threshold", {"metric": "accuracy", "min": 0.9, "dataset": "elsewhere"}), both
    )


def test_an_independent_evaluation_counts_before_the_producers_claim():
    claim, check = measured(0.99), measured(0.7, independent=True, by="iris")
    assert not passes(AT_LEAST, evidence(claim, check))
    assert not passes(AT_LEAST, evidence(check, claim))


def test_no_definition_and_an_empty_one_are_the_same_measurement():
    claim, check = measured(0.7), measured(0.95, definition="", independent=True, by="iris")
    assert passes(AT_LEAST, evidence(claim, check))


def test_of_several_independent_evaluations_the_newest_counts():
    first, second, again = (
        measured(v, independent=True, by=by) for v, by in ((0.95, "iris"), (0.96, "ivan"), (0.7, "iris"))
    )
    assert passes(AT_LEAST, evidence(first, second))
    assert not passes(AT_LEAST, evidence(first, second, again))
    assert passes(AT_LEAST, evidence(first, again, second))


@pytest.mark.parametrize("by", ["carl", "CARL", None])
def test_an_evaluation_by_a_contributor_or_by_no_one_is_a_claim(by):
    own, check = measured(0.99, independent=True, by=by), measured(0.7, independent=True, by="iris")
    assert not passes(AT_LEAST, evidence(check, own))
    assert passes(AT_LEAST, evidence(measured(0.7), own))


def test_a_maker_does_not_vouch_for_a_worse_champion():
    of_the_champion = (
        measured(0.95, independent=True, by="iris"),
        measured(0.5, independent=True, by="carl"),
    )
    assert not passes(NO_WORSE, evidence(measured(0.9), champion=of_the_champion))


def test_a_metric_that_should_be_small_has_a_maximum():
    assert passes(Gate("metric_threshold", {"metric": "rmse", "max": 3}), evidence(measured(2.5, "rmse")))
    assert not passes(Gate("metric_threshold", {"metric": "rmse", "max": 3}), evidence(measured(3.5, "rmse")))


LOW = {"metric": "rmse", "higher_is_better": False}
NO_WORSE = Gate("no_regression", {"metric": "accuracy", "tolerance": 0.01})


@pytest.mark.parametrize(
    ("value", "passed"), [(0.95, True), (0.9, True), (0.892, True), (0.88, False), (None, False)]
)
def test_no_regression_compares_with_the_champion_within_the_tolerance(value, passed):
    assert passes(NO_WORSE, evidence(measured(value), champion=(measured(0.9),))) is passed


def test_where_lower_is_better_the_comparison_turns_round():
    gate = Gate("no_regression", {"metric": "rmse"})
    assert passes(gate, evidence(measured(1.0, **LOW), champion=(measured(2.0, **LOW),)))
    assert not passes(gate, evidence(measured(3.0, **LOW), champion=(measured(2.0, **LOW),)))


def test_without_a_champion_or_as_the_champion_itself_nothing_can_regress():
    assert passes(NO_WORSE, evidence())
    assert passes(NO_WORSE, evidence(number=1, champion=(measured(0.9),)))


@pytest.mark.parametrize(
    "other",
    [
        measured(0.5, data="d2"),
        measured(0.5, data=None),
        measured(0.5, definition="macro"),
        measured(0.5, higher_is_better=False),
        measured(0.5, "f1"),
    ],
)
@pytest.mark.parametrize(
    ("different", "passed"), [("pass", True), ("fail", False), ("require_independent", False)]
)
def test_other_data_or_another_definition_is_not_comparable_and_the_policy_decides_the_verdict(
    other, different, passed
):
    gate = Gate("no_regression", {"metric": "accuracy", "different_data": different})
    result = check(gate, evidence(measured(0.9), champion=(other,)))
    assert result.passed is passed
    assert "not comparable" in result.detail


def test_an_independent_evaluation_can_stand_in_for_a_comparison():
    gate = Gate("no_regression", {"metric": "accuracy", "different_data": "require_independent"})
    other_data = (measured(0.5, data="d2"),)
    assert passes(gate, evidence(measured(0.9, independent=True, by="iris"), champion=other_data))
    assert not passes(gate, evidence(measured(0.9, independent=True, by="carl"), champion=other_data))


def test_the_primary_metric_is_compared_where_the_policy_names_none():
    gate = Gate("no_regression", {})
    good, bad = measured(0.95, primary=True), measured(0.1, "f1")
    assert passes(gate, evidence(good, bad, champion=(measured(0.9), measured(0.9, "f1"))))
    assert not passes(
        gate, evidence(measured(0.95), bad, champion=(measured(0.9),))
    )  # neither is marked primary


OLD = Signature((SignatureField("x", "float"),), (SignatureField("label", "int64", labels=("a", "b")),))


def test_a_schema_is_compatible_when_old_callers_notice_nothing():
    wider = Signature(
        (SignatureField("x", "double"), SignatureField("z", "uint8", required=False)), OLD.outputs
    )
    assert passes(
        Gate("schema_compatible", {}),
        replace(EVIDENCE, signature=wider, champion=Champion(1, "1.0.0", signature=OLD)),
    )


def test_another_spelling_and_a_named_order_are_compatible_and_a_swap_is_not():
    fields = (SignatureField("a", "float32[?, 4]"), SignatureField("b", "object"))
    spelled = (SignatureField("a", "float[N,4]"), SignatureField("b", "string"))
    old = Signature(fields, inputs_by="name")
    for new, passed in (
        (Signature(spelled, inputs_by="name"), True),
        (Signature(spelled[::-1], inputs_by="name"), True),
        (Signature(spelled[::-1]), False),
    ):
        e = replace(EVIDENCE, signature=new, champion=Champion(1, "1.0.0", signature=old))
        assert check(Gate("schema_compatible", {}), e).passed is passed


def test_a_version_made_from_a_recalled_one_is_blocked_and_the_ancestor_is_named():
    assert passes(Gate("lineage_sound", {}), EVIDENCE)
    e = replace(EVIDENCE, recalled_ancestors=("was made from team.base 2, which is withdrawn",))
    result = check(Gate("lineage_sound", {}), e)
    assert not result.passed
    assert "made from team.base 2, which is withdrawn; train it again" in result.detail


def test_a_breaking_change_is_named_and_passes_for_a_major_version_only_if_the_policy_allows_it():
    new = Signature((SignatureField("x", "int8"),), (SignatureField("label", "int64", labels=("b", "a")),))
    e = replace(EVIDENCE, signature=new, champion=Champion(1, "1.0.0", signature=OLD), bump="major")
    result = check(Gate("schema_compatible", {}), e)
    assert not result.passed
    assert (
        "inputs.x.type: input type narrowed from float to int8; outputs.label.labels: labels changed"
        in result.detail
    )
    assert passes(Gate("schema_compatible", {"allow_major": True}), e)
    assert not passes(Gate("schema_compatible", {"allow_major": True}), replace(e, bump="minor"))


@pytest.mark.parametrize(
    "gate", [Gate("cel", {"expression": "true"}), Gate("no_regression", {"margin": 1}), Gate("manual", {})]
)
def test_a_gate_that_cannot_be_asked_denies(gate):
    assert not passes(gate, EVIDENCE)


def test_a_missing_signature_is_not_compatible():
    assert not passes(
        Gate("schema_compatible", {}), replace(EVIDENCE, champion=Champion(1, "1.0.0", signature=OLD))
    )


def test_an_evaluation_by_a_maker_is_not_independent():
    gate = Gate("independent_evaluation", {"metric": "accuracy"})
    assert passes(gate, evidence(measured(0.9, independent=True, by="iris")))
    assert not passes(gate, evidence(measured(0.9, independent=True, by="carl")))
    assert not passes(gate, evidence(measured(0.9, independent=True, by="Carl")))
    assert not passes(gate, evidence(measured(0.9, by="iris")))
    assert not passes(gate, evidence(measured(0.9, "f1", independent=True, by="iris")))


def test_the_same_inputs_have_the_same_digest_and_others_another():
    one, two, other = (check(AT_LEAST, evidence(measured(v))) for v in (0.91, 0.91, 0.92))
    assert one == two
    assert one.inputs_digest != other.inputs_digest


def test_a_new_name_changes_nothing_that_a_review_seals():
    assert sealed_evidence_digest(replace(EVIDENCE, model="team.attrition")) == sealed_evidence_digest(
        EVIDENCE
    )
    assert sealed_evidence_digest(replace(EVIDENCE, tier="high")) != sealed_evidence_digest(EVIDENCE)


def test_a_new_champion_changes_the_evidence_but_not_what_a_review_seals():
    old, new = (
        evidence(measured(0.9), champion=(measured(0.8),)),
        evidence(measured(0.9), champion=(measured(0.7),)),
    )
    assert evidence_digest(old) != evidence_digest(new)
    assert sealed_evidence_digest(old) == sealed_evidence_digest(new)


values = st.one_of(st.none(), st.floats(), st.sampled_from([0.5, 0.9]))
evaluations = st.lists(
    st.builds(
        Evaluation,
        st.sampled_from(["accuracy", "f1"]),
        values,
        st.sampled_from([None, "d1", "d2"]),
        st.none(),
        st.sampled_from([None, "macro"]),
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.sampled_from([None, "iris", "carl"]),
    ),
    max_size=5,
)
gates = st.sampled_from(
    [
        Gate("metadata_complete", {}),
        Gate("artifact_verified", {}),
        AT_LEAST,
        NO_WORSE,
        Gate("no_regression", {}),
        Gate("no_regression", {"different_data": "require_independent"}),
        Gate("schema_compatible", {}),
        Gate("independent_evaluation", {}),
    ]
)


@examples(gates, evaluations, st.one_of(st.none(), evaluations))
def test_every_gate_answers_on_any_evidence(gate, mine, theirs):
    result = check(gate, evidence(*mine, champion=None if theirs is None else newest(theirs)))
    assert result.detail
    assert result.inputs_digest.startswith("sha256:")


@examples(st.lists(st.one_of(st.none(), st.just(math.nan), st.floats(max_value=0.8999)), max_size=4))
def test_nothing_missing_or_below_ever_passes_a_threshold(found):
    assert not passes(AT_LEAST, evidence(*(measured(v, data=f"d{n}") for n, v in enumerate(found))))


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_gate_is_in_the_public_document_with_its_parameters(name):
    document = GateBody.model_json_schema()
    kind = KINDS[name]
    assert not (kind.params.__doc__ or "").startswith(kind.params.__name__ + "("), "describe the kind"
    [line] = [line for line in document["description"].splitlines() if line.startswith(f"- {name}")]
    assert kind.params.__doc__.split(".")[0] in line
    assert all(parameter in line for parameter in kind.parameters)
    assert name in document["properties"]["kind"]["examples"]


@pytest.mark.parametrize(("value", "passed"), [(2.0, True), (2.1, True), (2.11, False), (1.5, True)])
def test_where_lower_is_better_the_tolerance_is_above_the_champions_value(value, passed):
    gate = Gate("no_regression", {"metric": "rmse", "tolerance": 0.1})
    assert passes(gate, evidence(measured(value, **LOW), champion=(measured(2.0, **LOW),))) is passed


def test_the_champion_itself_is_compatible_even_without_a_signature():
    assert passes(Gate("schema_compatible", {}), replace(EVIDENCE, champion=Champion(EVIDENCE.number)))
