"""Environments: declared once, refused when unknown, and only production ones make a version Production."""

from __future__ import annotations

import pytest

from services.registry.domain.promotion.promotion import RequestPromotion
from services.registry.domain.serving.environment import (
    ENVIRONMENT,
    ENVIRONMENTS,
    CreateEnvironment,
    DeclareFirst,
    EditEnvironment,
    EnvironmentCreated,
    EnvironmentEdited,
    EnvironmentRetired,
    Environments,
    RetireEnvironment,
    require_environment,
)
from services.registry.domain.serving.rollback import RollBack
from services.registry.domain.serving.rollout import ChangeRollout, Share
from services.registry.domain.serving.stop import StopRollout
from services.registry.domain.withdrawal.rejection import RecallVersion
from services.registry.domain.withdrawal.reversal import ReopenVersion
from shared.deciding.decider import NotFound, RuleBroken, Stale, Unprocessable
from tests.unit.registry.given import DECLARED, MODEL_ID, Story, metadata, names
from tests.unit.registry.serving import challenger, champion, change, retire, served_in_turn, two_promoted


def given(*events: object) -> Environments:
    state = Environments()
    for event in events:
        state = ENVIRONMENT.evolve(state, event)
    return state


def in_staging(story: Story, number: int) -> None:
    """Promoted to staging; the first one serves there."""
    story.request_promotion(number, f"s{number}", "staging", serve=not story.serves("staging"))
    story.grant_promotion(f"s{number}", number, "staging")


GLOBAL = EnvironmentCreated("", "production", True, 100, "")


def test_no_environment_is_called_latest():
    with pytest.raises(Unprocessable, match="reserved_environment"):
        ENVIRONMENT.decide(CreateEnvironment("", "latest", False), Environments())


def test_the_first_start_declares_production_and_what_was_used_before():
    assert ENVIRONMENT.decide(DeclareFirst(("eu", "production")), Environments()) == [
        GLOBAL,
        EnvironmentCreated("", "eu", True, 100, ""),
    ]
    assert ENVIRONMENT.decide(DeclareFirst(("eu",)), given(GLOBAL)) == []


def test_an_environment_is_declared_once():
    create = CreateEnvironment("risk", "staging", False, 20)
    (created,) = ENVIRONMENT.decide(create, given(GLOBAL))
    assert created == EnvironmentCreated("risk", "staging", False, 20, "")
    assert ENVIRONMENT.decide(create, given(GLOBAL, created)) == []
    with pytest.raises(RuleBroken, match="environment_exists"):
        ENVIRONMENT.decide(CreateEnvironment("risk", "staging", False, 30), given(created))


@pytest.mark.parametrize("name", ["", "Production", "-a", "1a", "a.b", "a b", "a" * 41, "ä"])
def test_what_cannot_be_a_name_is_refused(name):
    with pytest.raises(Unprocessable, match="invalid_environment"):
        ENVIRONMENT.decide(CreateEnvironment("", name, False), Environments())


@pytest.mark.parametrize(
    ("namespace", "other"), [("", "risk"), ("risk", ""), ("risk", "risk.eu"), ("risk.eu", "risk")]
)
def test_one_name_has_one_meaning_for_a_model(namespace, other):
    state = given(EnvironmentCreated(namespace, "live", True, 1, ""))
    with pytest.raises(RuleBroken, match="environment_name_taken"):
        ENVIRONMENT.decide(CreateEnvironment(other, "live", False), state)


def test_a_retired_environment_that_has_the_name_is_to_be_created_again():
    state = given(EnvironmentCreated("risk", "live", True, 1, ""), EnvironmentRetired("risk", "live"))
    with pytest.raises(RuleBroken, match=r"risk\.live is retired.*create it again"):
        ENVIRONMENT.decide(CreateEnvironment("risk.eu", "live", True), state)
    assert names(ENVIRONMENT.decide(CreateEnvironment("risk", "live", True), state)) == ["EnvironmentCreated"]


def test_two_namespaces_beside_each_other_may_have_the_same_name():
    state = given(EnvironmentCreated("risk", "live", True, 1, ""))
    assert ENVIRONMENT.decide(CreateEnvironment("riskier", "live", False), state)


def test_whether_an_environment_is_production_never_changes_not_even_by_retiring_it():
    state = given(EnvironmentCreated("", "lab", False, 1, ""), EnvironmentRetired("", "lab"))
    with pytest.raises(RuleBroken, match="environment_kind_fixed"):
        ENVIRONMENT.decide(CreateEnvironment("", "lab", True), state)
    assert ENVIRONMENT.decide(CreateEnvironment("", "lab", False, 1), state)


def test_order_and_description_are_edited_by_who_saw_the_present_ones():
    state = given(GLOBAL)
    (edited,) = ENVIRONMENT.decide(EditEnvironment("", "production", order=5, expected=1), state)
    assert edited == EnvironmentEdited("", "production", 5, "")
    assert ENVIRONMENT.decide(EditEnvironment("", "production", description=""), state) == []
    with pytest.raises(Stale):
        ENVIRONMENT.decide(EditEnvironment("", "production", 6, expected=1), given(GLOBAL, edited))


def test_an_environment_in_use_is_not_retired():
    with pytest.raises(RuleBroken, match=r"environment_in_use.*team\.churn"):
        ENVIRONMENT.decide(RetireEnvironment("", "production", ("team.churn",)), given(GLOBAL))
    (retired,) = ENVIRONMENT.decide(RetireEnvironment("", "production"), given(GLOBAL))
    assert ENVIRONMENT.decide(RetireEnvironment("", "production"), given(GLOBAL, retired)) == []


@pytest.mark.parametrize(
    ("namespace", "name", "found"),
    [
        ("team", "lab", True),
        ("team.eu", "lab", True),
        ("", "lab", False),
        ("teams", "lab", False),
        ("x", "staging", True),
    ],
)
def test_a_model_uses_the_environments_of_its_namespace_of_those_above_and_global_ones(
    namespace, name, found
):
    if found:
        assert require_environment(DECLARED, namespace, name).name == name
    else:
        with pytest.raises(NotFound, match="unknown_environment"):
            require_environment(DECLARED, namespace, name)


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [("prodction", "production"), ("PRODUCTION", "production"), ("stagin", "staging"), ("zzz", None)],
)
def test_an_unknown_environment_is_refused_with_the_nearest_name(typed, nearest):
    story = Story()
    story.validate()
    with pytest.raises(NotFound) as refused:
        story.request_promotion(1, "p1", typed)
    assert (refused.value.code, refused.value.facts["nearest"]) == ("unknown_environment", nearest)
    assert not story.model.promotions


def test_no_version_is_promoted_or_switched_to_in_a_retired_environment():
    story = two_promoted()
    with pytest.raises(RuleBroken, match="environment_retired"):
        story.request_promotion(2, "p9", "old")
    with pytest.raises(RuleBroken, match="environment_retired"):
        story.when(change(champion(2), environment="old"))


def test_only_a_production_environment_makes_a_version_production():
    story = Story()
    story.validate()
    (requested,) = story.request_promotion(1, "p1", "staging", serve=True)
    _, promoted, changed = story.grant_promotion("p1", 1, "staging")
    assert (requested.production, promoted.production, changed.production) == (False, False, False)
    assert (story.version(1).stage, story.serves("staging")) == ("Validated", 1)
    story.request_promotion(1, "p2", "production")
    story.grant_promotion("p2", 1, "production")
    assert story.version(1).stage == "Production"


def test_a_grant_for_staging_is_none_for_production():
    story = Story()
    story.validate()
    in_staging(story, 1)
    with pytest.raises(RuleBroken, match="champion_not_promoted"):
        story.when(change(champion(1)))


def test_versions_that_only_serve_outside_production_stay_validated_through_switch_rollback_and_stop():
    story = Story()
    for n in (1, 2):
        story.validate(metadata(n))
        in_staging(story, n)
    story.when(change(champion(2), environment="staging"))
    assert {v.stage for v in story.model.versions.values()} == {"Validated"}
    assert names(story.when(RollBack(MODEL_ID, "staging"))) == ["RolledBack"]
    story.when(StopRollout(MODEL_ID, "staging"))
    assert {v.stage for v in story.model.versions.values()} == {"Validated"}


def test_no_cap_holds_for_challengers_outside_production():
    story = Story()
    story.validate()
    in_staging(story, 1)
    story.validate(metadata(2))
    story.when(change(champion(1, 50), challenger(2, 50), environment="staging"))
    story.promote(metadata(3))
    with pytest.raises(RuleBroken, match="challenger_cap"):
        story.when(change(champion(3, 50), challenger(2, 50)))


@pytest.mark.parametrize("cap", [0, 30])
def test_the_policy_that_validated_a_version_may_set_its_cap(cap):
    story = Story()
    story.promote()
    story.register(metadata(2))
    story.note_artifact(2)
    story.note_gates(2, policy={"name": "ours", "revision": 1, "digest": "d", "challenger_cap": cap})
    with pytest.raises(RuleBroken, match=f"at most {cap} percent.*policy sets that"):
        story.when(change(champion(1, 99 - cap), challenger(2, cap + 1)))
    assert story.when(change(champion(1, 100 - cap), challenger(2, cap)))


def test_of_several_caps_the_lowest_holds_for_all():
    story = Story()
    story.promote()
    story.register(metadata(2))
    story.note_artifact(2)
    story.note_gates(2, policy={"challenger_cap": 30})
    story.validate(metadata(3))
    with pytest.raises(RuleBroken, match="at most 5 percent"):
        story.when(change(champion(1, 89), challenger(2, 10), challenger(3, 1)))
    assert story.when(change(champion(1, 80), challenger(2, 20), Share(3, 0, "shadow")))


def test_a_champion_that_leaves_production_and_serves_in_staging_is_validated():
    story = two_promoted()
    in_staging(story, 1)
    _, validated = story.when(change(champion(2)))
    assert (type(validated).__name__, validated.number) == ("VersionValidated", 1)
    assert story.when(RollBack(MODEL_ID, "production"))[0].to_number == 1
    assert story.version(1).stage == "Production"


def test_a_version_waiting_for_staging_does_not_stay_production():
    story = two_promoted()
    story.validate(metadata(3))
    in_staging(story, 3)
    in_staging(story, 1)
    story.when(change(champion(2)))
    assert story.version(1).stage == "Validated"
    story.when(change(champion(1), environment="staging"))
    assert story.serves("staging") == 1


def test_an_archived_version_that_is_promoted_to_staging_is_validated_again():
    story = two_promoted()
    story.when(change(champion(2)))
    assert story.version(1).stage == "Archived"
    in_staging(story, 1)
    assert (story.version(1).stage, story.serves("staging")) == ("Validated", 1)


def test_an_archived_version_that_staging_rolls_back_to_is_validated_again():
    story = two_promoted()
    in_staging(story, 1)
    in_staging(story, 2)
    story.when(change(champion(2), environment="staging"))
    story.when(change(champion(2)))
    assert story.version(1).stage == "Archived"
    assert names(story.when(RollBack(MODEL_ID, "staging"))) == ["RolledBack", "VersionValidated"]
    assert story.version(1).stage == "Validated"


def test_a_recalled_champion_of_staging_alone_is_archived_when_it_was_in_production():
    story = two_promoted()
    in_staging(story, 1)
    story.when(change(champion(2)))
    assert names(story.when(RecallVersion(MODEL_ID, 1, by="eva"))) == ["VersionRecalled"]
    with pytest.raises(RuleBroken, match="version_withdrawn"):
        story.when(change(champion(1), environment="staging"))


def test_what_is_promoted_to_staging_is_not_retired():
    story = Story()
    for n in (1, 2):
        story.validate(metadata(n))
        in_staging(story, n)
    _, refused = story.when(retire(2))
    assert refused.reasons == ("it is promoted to staging",)


def test_a_reopened_version_of_production_serves_in_staging_after_its_gates_passed_again():
    story = two_promoted()
    story.when(change(champion(2)))
    story.when(ReopenVersion(MODEL_ID, 1))
    story.note_gates(1)
    in_staging(story, 1)
    assert (story.serves("staging"), story.version(1).stage) == (1, "Validated")


def test_a_repeated_request_for_staging_opens_nothing_new():
    story = Story()
    story.validate()
    in_staging(story, 1)
    assert story.when(RequestPromotion(MODEL_ID, 1, "staging", "again", "eva")) == []
    assert story.when(ChangeRollout(MODEL_ID, "staging", (Share(1, 100, "champion"),))) == []


def test_after_a_stop_nothing_goes_back_to_a_retired_environment():
    story = served_in_turn()
    story.when(StopRollout(MODEL_ID, "production"))
    story.append(EnvironmentRetired("", "production"), ENVIRONMENTS)
    with pytest.raises(RuleBroken, match="environment_retired"):
        story.when(RollBack(MODEL_ID, "production"))


def test_what_still_serves_in_a_retired_environment_can_be_rolled_back():
    story = served_in_turn()
    story.append(EnvironmentRetired("", "production"), ENVIRONMENTS)
    assert story.when(RollBack(MODEL_ID, "production"))[0].to_number == 1
