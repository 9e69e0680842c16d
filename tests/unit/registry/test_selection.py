"""Tags, tier and kind select policies: who may choose what selects a weaker one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from immutables import Map

from services.registry.domain.naming import selection
from services.registry.domain.naming.description import DescribeModel, RegisterModel
from services.registry.domain.registration.commands import RegisterVersion
from shared.deciding.access import AccessState, Grant
from shared.deciding.decider import Forbidden, Misrouted, RuleBroken
from shared.deciding.person import ErasedName, Person, digest_of, folded_name
from tests.unit.registry.given import MODEL_ID, Story, metadata, names

EU = {"eu": "yes"}


@pytest.fixture
def story() -> Story:
    """Two approvers by default, three for models of the EU, one where the tier is low or for a prompt."""
    story = Story()
    story.note_policy("default", 2, priority=-1)
    story.note_policy("eu", 3, applies_to={"tags": EU})
    story.note_policy("low", 1, applies_to={"tiers": ["low"]})
    story.note_policy("prompts", 1, applies_to={"kinds": ["prompt"]})
    story.note_policy("toys", 0, applies_to={"tags": {"toy": "yes"}}, priority=5)
    return story


def describe(story: Story, by: str = "ann", **more):
    """ann may approve, unless the test states otherwise."""
    return story.when(DescribeModel(MODEL_ID, by=by, **{"may_approve": True, **more}))


def test_an_engineer_may_not_remove_the_tag_that_selects_three_approvers(story):
    story.register(tags=EU)
    with pytest.raises(Forbidden, match=r"eu \(3 approvers\) → default \(2 approvers\)"):
        describe(story, tags={}, may_approve=False)
    assert dict(story.model.tags) == EU


@pytest.mark.parametrize("tags", [{"eu": "no"}, {"EU": "yes"}, {"eu": "yes", "toy": "yes"}, {"team": "x"}])
def test_another_value_another_key_and_a_tag_of_higher_priority_are_as_governed(story, tags):
    story.register(tags=EU)
    with pytest.raises(Forbidden, match="weaker_policy"):
        describe(story, tags=tags, may_approve=False)


def test_an_engineer_may_add_what_selects_a_stricter_policy_and_tags_that_select_none(story):
    story.register()
    assert names(describe(story, tags=EU, may_approve=False)) == ["TagsChanged"]
    assert names(describe(story, tags=EU | {"team": "x"}, may_approve=False)) == ["TagsChanged"]
    assert names(describe(story, tier="high", may_approve=False)) == ["TagsChanged"]


def test_an_approver_who_made_nothing_may_choose_the_weaker_policy_and_answers_for_it(story):
    story.register(tags=EU)
    (changed,) = describe(story, tags={"toy": "yes"})
    assert changed.selected_by == story.model.selected_by == "ann"


@pytest.mark.parametrize("who", ["ci", "Ann", "ANN ", "a\u200bnn"])
def test_a_maker_may_not_by_subject_or_by_printed_name(story, who):
    """The version names its creator; ann's printed name is in the directory."""
    story.register(replace(metadata(), training=replace(metadata().training, creator=who)), tags=EU)
    salt = b"salt"
    erased = Person("u-1", (), (ErasedName(salt, digest_of(salt, folded_name(who))),))
    for more in (
        {"by": who},
        {"by": "u-1", "person": Person("u-1", ("former", who))},
        {"by": "u-1", "person": erased},
    ):
        with pytest.raises(RuleBroken, match="own_work"):
            describe(story, tags={}, **more)


def test_a_contributor_and_a_requester_may_not(story):
    story.validate(by="pipeline", tags=EU)
    story.request_promotion(1, "p", requester="rosa")
    for who in ("pipeline", "rosa"):
        with pytest.raises(RuleBroken, match="own_work"):
            describe(story, by=who, tags={})


def test_who_chose_the_weaker_policy_cannot_request_what_it_is_for(story):
    story.validate()
    describe(story, by="eva", tier="low")
    with pytest.raises(RuleBroken, match="own_selection"):
        story.request_promotion(1, "p", requester="eva")
    assert names(story.request_promotion(1, "p", requester="rosa")) == ["PromotionRequested"]


ANN = Person("ann", ("Ann  Approver",))
ERASED = Person("ann", (), (ErasedName(b"salt", digest_of(b"salt", folded_name("Ann Approver"))),))


def test_who_chose_the_weaker_policy_cannot_be_the_maker_of_a_later_version(story):
    story.register()
    describe(story, by="ann", tags={"toy": "yes"})
    number = story.validate(metadata(2, creator="Ann Approver"))
    with pytest.raises(RuleBroken, match="own_selection"):
        story.request_promotion(number, "p", "production", "rosa", people={"ann": ANN})


@pytest.mark.parametrize(
    ("requester", "people"),
    [
        ("rosa", {"ann": Person("ann", ("Ann B.", "Ann Approver"))}),
        ("rosa", {"ann": ERASED}),
        ("u-2", {"ann": ANN, "u-2": Person("u-2", ("ann approver",))}),
        ("u-2", {"ann": ERASED, "u-2": Person("u-2", ("Ann Approver",))}),
    ],
)
def test_who_chose_is_recognised_after_a_new_name_and_by_a_second_identity(story, requester, people):
    maker = "Ann Approver" if requester == "rosa" else "cleo"
    story.register()
    describe(story, by="ann", tags={"toy": "yes"})
    number = story.validate(metadata(2, creator=maker))
    with pytest.raises(RuleBroken, match="own_selection"):
        story.request_promotion(number, "p", "production", requester, people=people)
    others = {"ann": Person("ann", ("Ann Other",)), "u-2": Person("u-2", ("Ulf",))}
    story.request_promotion(number, "p", "production", requester, people=others)


def test_another_approver_takes_the_choice_over_by_making_it_again(story):
    story.validate()
    describe(story, by="eva", tier="low")
    (changed,) = describe(story, by="bob", tier="low")
    assert changed.selected_by == "bob"
    assert describe(story, by="bob", tier="low") == []
    assert names(story.request_promotion(1, "p", requester="eva")) == ["PromotionRequested"]


def test_neither_an_engineer_nor_a_maker_takes_the_choice_over(story):
    story.validate(by="cleo")
    describe(story, by="eva", tier="low")
    assert describe(story, by="dan", tier="low", may_approve=False) == []
    assert describe(story, by="cleo", tier="low") == []
    assert story.model.selected_by == "eva"


def test_no_one_answers_for_a_description_that_selects_no_weaker_policy_any_more(story):
    story.validate()
    describe(story, by="eva", tier="low")
    describe(story, by="dan", tier="medium", may_approve=False)
    assert story.model.selected_by == ""


def test_a_request_that_looked_up_another_selector_is_looked_up_again(story):
    story.validate()
    describe(story, by="eva", tier="low")
    with pytest.raises(Misrouted):
        story.request_promotion(1, "p", selected_by="")


def test_a_weaker_description_lapses_the_open_request(story):
    story.validate(tags=EU)
    story.request_promotion(1, "p")
    describe(story, tags={})
    refused = story.grant_promotion("p", 1)
    assert "tier or tags have changed" in refused[-1].reasons[0]


@pytest.mark.parametrize(
    ("description", "field"), [({"kind": "prompt"}, "kind"), ({"tags": {"toy": "yes"}}, "tags")]
)
def test_a_publisher_starts_no_model_under_a_weaker_policy(story, description, field):
    (refused,) = story.when(
        RegisterVersion(MODEL_ID, "team.churn", metadata(), new_model=True, **description)
    )
    assert [(p.field, "create the model first" in p.problem) for p in refused.problems] == [(field, True)]


def test_only_an_approver_creates_a_model_under_a_weaker_policy(story):
    for description in ({"kind": "prompt"}, {"tags": {"toy": "yes"}}, {"tier": "low"}):
        with pytest.raises(Forbidden, match="weaker_policy"):
            story.when(RegisterModel(MODEL_ID, "team.churn", **description))
    story.when(RegisterModel(MODEL_ID, "team.churn", kind="prompt", by="ann", may_approve=True))
    assert story.model.selected_by == "ann"


def test_a_gate_that_the_other_policy_lacks_makes_it_weaker(story):
    audited = {"kind": "independent_evaluation", "params": {}}
    story.note_policy("audited", 2, 1, audited, applies_to={"tags": {"audited": "yes"}})
    story.register(tags={"audited": "yes"})
    with pytest.raises(Forbidden, match="independent_evaluation is not required"):
        describe(story, tags={}, may_approve=False)


def test_an_older_revision_of_a_policy_changes_nothing(story):
    assert story.note_policy("eu", 1, 1, applies_to={"tags": EU}) == []
    story.note_policy("eu", 2, 2, applies_to={"tags": EU})
    story.register(tags=EU)
    assert names(describe(story, tags={}, may_approve=False)) == ["TagsChanged"]


BESIDE = {"stages": {"Validated": [], "Production": [{"kind": "manual", "params": {"approvers": 2}}]}}


@pytest.mark.parametrize(
    ("before", "after", "how"),
    [
        ({"challenger_cap": 0}, {"challenger_cap": 100}, "may take 100 percent"),
        ({"challenger_cap": 0}, {}, "may take 5 percent"),
        ({}, {"challenger_cap": 6}, "may take 6 percent of the requests; before, 5"),
        ({"two_to_recall": True}, {}, "needs no second person"),
        ({}, {"break_glass": {"by_maker": True}}, "who made a version may override"),
        ({"break_glass": {"overdue": "block"}}, {}, "blocks no promotion"),
        ({"break_glass": {"unjustified": "roll_back"}}, {}, "is not rolled back"),
    ],
)
def test_what_a_policy_states_beside_its_gates_is_governed(story, before, after, how):
    story.note_policy("default", 2, 2, **BESIDE, **before)
    story.note_policy("beta", 2, applies_to={"tags": {"beta": "yes"}}, **BESIDE, **after)
    story.register()
    with pytest.raises(Forbidden, match=how):
        describe(story, tags={"beta": "yes"}, may_approve=False)
    assert names(describe(story, tags={"beta": "yes"})) == ["TagsChanged"]


def test_an_engineer_may_select_a_policy_that_states_more_beside_its_gates(story):
    story.note_policy("default", 2, 2, **BESIDE)
    strict = {"challenger_cap": 5, "two_to_recall": True, "break_glass": {"overdue": "block"}}
    story.note_policy("strict", 2, applies_to={"tags": {"strict": "yes"}}, **BESIDE, **strict)
    story.register()
    assert names(describe(story, tags={"strict": "yes"}, may_approve=False)) == ["TagsChanged"]


@pytest.mark.parametrize(
    ("kind", "role", "namespace", "may"),
    [
        ("person", "approver", "team", True),
        ("person", "admin", "*", True),
        ("person", "engineer", "team", False),
        ("person", "approver", "other", False),
        ("publisher", "approver", "team", False),
        ("publisher", "admin", "*", False),
        ("service", "approver", "team", False),
        ("group", "approver", "team", False),
        ("", "approver", "team", False),
    ],
)
def test_only_a_person_who_may_approve_chooses_weaker_gates(kind, role, namespace, may):
    identity = AccessState("x", kind, grants=Map({"g": Grant(role, namespace)}))
    assert selection.may_choose(identity, "team.churn") is may


def test_who_may_choose_weaker_gates_creates_a_model_without_the_role_publisher():
    assert selection.role_to_create(may_choose=True) == "approver"
    assert selection.role_to_create(may_choose=False) == "publisher"
