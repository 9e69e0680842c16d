from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.registry.domain.model.metadata import (
    Code,
    Dataset,
    Input,
    Metadata,
    Metric,
    Parent,
    Signature,
    Training,
    earlier_identity,
)
from services.registry.domain.model.state import stream_of
from services.registry.domain.naming.description import RegisterModel
from services.registry.domain.registration.commands import AddMetadata, RegisterVersion
from services.registry.domain.withdrawal.rejection import RecallVersion, RejectVersion
from shared.deciding.decider import Misrouted, RuleBroken, Stale, Unprocessable
from tests.unit.registry.given import MODEL_ID, STREAM, Claim, Story, a_digest, metadata, names
from tests.unit.registry.serving import retire

OTHER_ID = "00000000-0000-5000-8000-000000000002"
URL = "hf://google/bert-base@5c3fe2"


def registering(document: Metadata | None = None, **more) -> RegisterVersion:
    return RegisterVersion(MODEL_ID, "team.churn", document or metadata(), **more)


def test_the_first_message_makes_the_model_its_name_and_version_1_0_0():
    story = Story()
    events = story.when(registering(new_model=True, owner="team", tier="high", tags={"a": "b"}))
    assert names(events) == ["NameClaimed", "ModelRegistered", "VersionRegistered"]
    assert (events[1].model, events[1].owner, events[1].tier) == ("team.churn", "team", "high")
    assert (events[2].number, events[2].semver, events[2].bump.rule, events[2].champion) == (
        1,
        "1.0.0",
        "first",
        None,
    )


def test_a_name_that_was_claimed_meanwhile_is_looked_up_again():
    story = Story()
    story.register()
    with pytest.raises(Misrouted):
        story.when(RegisterVersion(OTHER_ID, "team.churn", metadata(2), new_model=True))


def test_a_refusal_names_every_missing_field_and_makes_no_model():
    story = Story()
    document = Metadata(
        None, replace(metadata().training, dataset=Dataset("people"), metrics=(), code=None), None
    )
    (refused,) = story.when(registering(document, new_model=True))
    assert [p.field for p in refused.problems] == [
        "training.dataset.digest",
        "training.metrics",
        "training.code",
        "signature",
        "artifact.digest",
    ]
    assert story.model.revision == 0
    assert story.state("name-team.churn").model_id == ""
    assert story.register() == 1


def test_a_refusal_of_a_known_model_stands_in_its_stream_and_takes_no_number():
    story = Story()
    story.register()
    (refused,) = story.when(registering(replace(metadata(2), signature=None)))
    assert story.log[STREAM][-1] == refused
    assert story.register(metadata(3)) == 2


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (
            metadata(2, metrics=(Metric("a", 1.0, "d", primary=True), Metric("b", 1.0, "d", primary=True))),
            "training.metrics",
        ),
        (metadata(2, metrics=(Metric("a", 1.0, "d"), Metric("a", 2.0, "d"))), "training.metrics"),
        (replace(metadata(2), parents=(Parent("team.base", 1, "base_model"),)), "parents.0.model"),
        (replace(metadata(2), parents=(Parent("team.base", 0, "base_model"),)), "parents.0.number"),
        (replace(metadata(2), parents=(Parent(URL, 0, "base_model"),)), "parents.0.digest"),
        (
            replace(metadata(2), parents=(Parent(URL, 3, "base_model", digest=a_digest(1)),)),
            "parents.0.number",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(document, field):
    story = Story()
    story.register()
    (refused,) = story.when(registering(document), *[f"name-{p.model}" for p in document.parents])
    assert [p.field for p in refused.problems] == [field]


def test_another_kind_than_the_models_is_refused():
    story = Story()
    story.register()
    (refused,) = story.when(registering(metadata(2), kind="embedding"))
    assert refused.problems[0].field == "kind"


def test_the_same_artifact_with_the_same_metadata_is_nothing_new():
    story = Story()
    story.register()
    assert story.when(registering()) == []


def test_the_same_artifact_with_other_metadata_is_a_patch():
    story = Story()
    story.register()
    (registered,) = story.when(registering(metadata(creator="someone else")))
    assert (registered.semver, registered.bump.rule) == ("1.0.1", "metadata.changed")


def test_after_wrong_bytes_the_same_metadata_registers_again():
    story = Story()
    story.register()
    story.note_artifact(1, "regista.artifact.ArtifactMismatched.v1", detail="other bytes")
    (registered,) = story.when(registering())
    assert (registered.number, registered.semver) == (2, "1.0.1")


def test_the_base_is_the_newest_ever_validated_before_the_newest():
    story = Story()
    story.validate()
    story.register(metadata(2, features=("age", "x")))
    (registered,) = story.when(registering(metadata(3, dataset=Dataset("p", a_digest("other")))))
    assert (registered.bump.base, registered.bump.base_semver, registered.semver) == (1, "1.0.0", "1.0.1")


@pytest.mark.parametrize("base", [1, "1.0.0"])
def test_a_declared_base_is_compared_with(base):
    story = Story()
    story.register()
    story.register(metadata(2, features=("age", "x")))
    (registered,) = story.when(registering(metadata(3, seed=7), base=base))
    assert (registered.bump.base, registered.semver) == (1, "1.0.1")


def test_an_unknown_base_is_refused():
    story = Story()
    story.register()
    (refused,) = story.when(registering(metadata(2), base="9.9.9"))
    assert refused.problems[0].field == "base"


def test_an_exact_claim_that_is_too_small_is_refused_with_the_proof():
    story = Story()
    story.register()
    (refused,) = story.when(
        registering(metadata(2, features=("age", "x")), claim=Claim(level="patch", exact=True))
    )
    assert refused.problems[0].field == "version"
    assert "minor" in refused.problems[0].problem
    assert [c.path for c in refused.proof if c.level == "minor"] == ["training.features.x"]


def test_a_draft_has_a_number_but_no_semantic_version_until_it_is_complete():
    story = Story()
    story.register()
    (registered,) = story.when(registering(metadata(2, dataset=None), draft=True))
    assert (registered.number, registered.semver, registered.missing) == (2, "", ("training.dataset.digest",))
    assert story.version(2).stage == "Draft"
    (learnt,) = story.when(
        AddMetadata(MODEL_ID, 2, Metadata(training=Training(dataset=Dataset("more", a_digest("more")))))
    )
    assert (learnt.semver, learnt.bump.rule, learnt.bump.base) == ("1.0.1", "data.changed", 1)
    assert learnt.metadata.training.config == metadata().training.config
    assert story.version(2).stage == "Staging"


def test_a_draft_may_be_completed_in_steps():
    story = Story()
    story.when(registering(Metadata(), draft=True, new_model=True))
    (learnt,) = story.when(AddMetadata(MODEL_ID, 1, Metadata(training=Training(creator="ci"))))
    assert learnt.semver == ""
    assert "signature" in learnt.missing
    assert "training.creator" not in learnt.missing
    (complete,) = story.when(AddMetadata(MODEL_ID, 1, metadata()))
    assert (complete.semver, complete.bump.rule) == ("1.0.0", "first")


def test_adding_nothing_to_an_incomplete_draft_is_nothing_new():
    story = Story()
    story.when(registering(Metadata(), draft=True, new_model=True))
    assert story.when(AddMetadata(MODEL_ID, 1, Metadata())) == []


def test_a_draft_that_changed_meanwhile_is_stale():
    story = Story()
    story.when(registering(Metadata(), draft=True, new_model=True))
    seen = story.version(1).revision
    story.when(AddMetadata(MODEL_ID, 1, Metadata(training=Training(creator="ann")), expected=seen))
    with pytest.raises(Stale):
        story.when(AddMetadata(MODEL_ID, 1, metadata(), expected=seen))


def test_a_complete_version_takes_no_more_metadata():
    story = Story()
    story.register()
    with pytest.raises(RuleBroken, match="version_immutable"):
        story.when(AddMetadata(MODEL_ID, 1, metadata(2)))


def test_a_parent_learns_of_its_child_in_the_same_decision():
    story = Story()
    story.when(RegisterVersion(OTHER_ID, "team.base", metadata("base"), new_model=True))
    document = replace(metadata(), parents=(Parent("team.base", 1, "base_model", OTHER_ID),))
    events = story.when(registering(document, new_model=True), stream_of(OTHER_ID))
    assert names(events) == ["NameClaimed", "ModelRegistered", "VersionRegistered", "ChildLinked"]
    assert story.state(stream_of(OTHER_ID)).children[1] == 1


def test_a_version_may_be_made_from_an_older_one_of_its_own_model():
    story = Story()
    story.register()
    document = replace(metadata(2), parents=(Parent("team.churn", 1, "base_model", MODEL_ID),))
    assert names(story.when(registering(document))) == ["VersionRegistered", "ChildLinked"]
    assert story.model.children[1] == 1


def test_a_parent_elsewhere_is_a_named_reference_and_has_no_stream():
    story = Story()
    outside = Parent(URL, 0, "base_model", digest=a_digest("weights"))
    events = story.when(registering(replace(metadata(), parents=(outside,)), new_model=True, kind="adapter"))
    assert names(events) == ["NameClaimed", "ModelRegistered", "VersionRegistered"]
    assert events[-1].metadata.parents == (outside,)
    assert names(story.when(retire(1))) == ["Noted", "VersionRetired"]


def test_a_parent_whose_stream_was_not_named_is_routed_again():
    story = Story()
    story.register()
    document = replace(metadata(2), parents=(Parent("team.base", 1, "base_model", OTHER_ID),))
    with pytest.raises(Misrouted):
        story.when(registering(document))


def test_a_draft_links_no_parent_yet():
    story = Story()
    story.register()
    document = replace(metadata(2), parents=(Parent("team.churn", 1, "base_model", MODEL_ID),))
    assert names(story.when(registering(document, draft=True))) == ["VersionRegistered"]
    assert names(story.when(AddMetadata(MODEL_ID, 2, Metadata()))) == ["MetadataAdded", "ChildLinked"]


def test_a_new_version_names_the_champion_at_registration():
    story = Story()
    story.promote()
    (registered,) = story.when(registering(metadata(2)))
    assert (registered.champion.number, registered.champion.semver) == (1, "1.0.0")
    assert [e.name for e in registered.champion.evaluations] == ["auc"]


def test_a_model_without_versions_claims_its_name():
    story = Story()
    assert names(story.when(RegisterModel(MODEL_ID, "team.churn"))) == ["NameClaimed", "ModelRegistered"]
    with pytest.raises(RuleBroken, match="name_taken"):
        story.when(RegisterModel(OTHER_ID, "team.churn"))
    assert story.register() == 1


@pytest.mark.parametrize("name", ["", "a..b", "a b", "a@b", "ä", "x" * 201, MODEL_ID])
def test_what_is_no_name_is_unprocessable(name):
    with pytest.raises(Unprocessable):
        Story().when(RegisterModel(MODEL_ID, name))


def test_a_refusal_names_what_is_missing_and_the_claim_that_is_too_small():
    story = Story()
    story.register()
    document = metadata(2, features=("age", "x"), trained_at=None)
    (refused,) = story.when(registering(document, claim=Claim(level="patch", exact=True)))
    assert [p.field for p in refused.problems] == ["training.trained_at", "version"]
    assert refused.proof


def test_a_signature_must_have_outputs():
    story = Story()
    (refused,) = story.when(
        registering(
            replace(metadata(), signature=Signature(inputs=(Input("age", "double"),))), new_model=True
        )
    )
    assert [p.field for p in refused.problems] == ["signature.outputs"]


def test_the_differences_stand_in_the_event():
    story = Story()
    story.register()
    (registered,) = story.when(registering(metadata(2, seed=7)))
    shown = [(c.part, c.before, c.after, c.level) for c in registered.bump.changes]
    assert shown == [("seed", None, 7, "patch"), ("artifact", a_digest(1), a_digest(2), "patch")]
    assert registered.bump.omitted == 0


def test_a_draft_that_became_the_same_as_a_version_is_refused():
    story = Story()
    story.register()
    story.register(metadata(metrics=()), draft=True)
    with pytest.raises(RuleBroken, match="same_version") as broken:
        story.when(AddMetadata(MODEL_ID, 2, Metadata(training=Training(metrics=metadata().training.metrics))))
    assert broken.value.facts["number"] == 1


def test_the_same_draft_again_is_nothing_new():
    story = Story()
    story.register(metadata(metrics=()), draft=True)
    assert story.when(registering(metadata(metrics=()), draft=True)) == []
    story.when(AddMetadata(MODEL_ID, 1, Metadata(training=Training(seed=1))))
    assert story.when(registering(metadata(metrics=()), draft=True))[0].number == 2


def test_a_draft_stands_for_no_version():
    story = Story()
    story.register(metadata(), draft=True)
    assert names(story.when(registering(metadata()))) == ["VersionRegistered"]
    assert story.when(registering(metadata())) == []


def test_damaged_bytes_are_healed_by_registering_the_same_again():
    story = Story()
    story.register()
    story.note_artifact(1)
    assert story.when(registering()) == []
    story.quarantine(1, revision=2)
    assert story.when(registering())[0].number == 2
    assert story.when(registering()) == []


def test_a_retired_draft_is_not_completed():
    story = Story()
    story.register(metadata(metrics=()), draft=True)
    story.when(retire(1))
    with pytest.raises(RuleBroken, match="version_immutable"):
        story.when(AddMetadata(MODEL_ID, 1, metadata()))


def withdrawn(story: Story) -> None:
    story.when(RecallVersion(MODEL_ID, 1))


def retired(story: Story) -> None:
    story.when(retire(1))


def rejected(story: Story) -> None:
    story.when(RejectVersion(MODEL_ID, 1, "no"))


@pytest.mark.parametrize("happened", [withdrawn, retired, rejected])
def test_a_parent_that_is_gone_is_refused(happened):
    story = Story()
    story.register()
    happened(story)
    (refused,) = story.when(
        registering(replace(metadata(2), parents=(Parent("team.churn", 1, "base_model", MODEL_ID),)))
    )
    assert [(p.field, happened.__name__ in p.problem) for p in refused.problems] == [
        ("parents.0.number", True)
    ]


def test_when_a_version_was_trained_and_the_revision_of_known_code_do_not_make_another_version():
    story = Story()
    story.register()
    document = metadata(
        trained_at=datetime(2026, 2, 1, tzinfo=UTC), code=Code(a_digest("code"), "other-dirty", "elsewhere")
    )
    assert story.when(registering(document)) == []


def test_the_revision_makes_another_version_where_code_has_no_digest():
    story = Story()
    story.register(metadata(code=Code(revision="abc")))
    assert names(story.when(registering(metadata(code=Code(revision="abd"))))) == ["VersionRegistered"]


def test_a_version_of_an_earlier_release_is_found_by_its_identity_of_that_time():
    story = Story()
    story.register()
    stored = story.log[STREAM].pop()
    story.states.pop(STREAM)
    old = [*story.log.pop(STREAM), replace(stored, identity=earlier_identity(metadata()))]
    for event in old:
        story.append(event)
    assert story.when(registering()) == []
    assert names(story.when(registering(metadata(creator="another")))) == ["VersionRegistered"]


def test_a_draft_without_a_time_does_not_answer_one_that_has_it():
    story = Story()
    story.when(registering(metadata(trained_at=None), new_model=True, draft=True))
    assert story.when(registering(metadata(trained_at=None), draft=True)) == []
    assert names(story.when(registering(draft=True))) == ["VersionRegistered"]


@pytest.mark.parametrize(
    ("type_", "columns", "problem"),
    [
        ("float32[?,3]", {"x": ("a", "b")}, "2 columns are named, and float32[?,3] has 3"),
        ("float32[?,2]", {"X": ("a", "b")}, "there is no input of this name"),
        ("float32[?,2]", {"x": ("a", "a")}, "a column is named twice"),
    ],
)
def test_columns_that_an_input_does_not_have_are_refused(type_, columns, problem):
    """Their names would protect nothing: a swap of columns is found by the names of both versions."""
    signature = Signature((Input("x", type_),), metadata().signature.outputs, columns=columns)
    (refused,) = Story().when(registering(replace(metadata(), signature=signature), new_model=True))
    assert [problem in one.problem for one in refused.problems] == [True]


@pytest.mark.parametrize("type_", ["float32[?,2]", "float32[?,N]", "float32", "tensor(float)", "MyTensor"])
def test_columns_of_an_array_are_taken_in_every_spelling_of_its_type(type_):
    signature = Signature((Input("x", type_),), metadata().signature.outputs, columns={"x": ("a", "b")})
    events = Story().when(registering(replace(metadata(), signature=signature), new_model=True))
    assert "VersionRegistered" in names(events)
