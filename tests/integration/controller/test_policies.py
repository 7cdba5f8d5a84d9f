"""A rollout is judged by the policy it began with: the file's, with the model's tags over it."""

from pathlib import Path

import pytest
from support.journals import equal
from support.tier import MODEL, Tier

from data_contracts.policy import Policy, Rollout, Step, read_policy
from data_contracts.policy_tags import ERROR_TAG
from ringcraft.policy_file import write_policy
from serving.rollout.policies import PolicyFolder

POLICY = Policy(rollout=Rollout(steps=(Step(share=0.0, min_decisions=40), Step(share=0.5, min_decisions=40))))
ON_SUCCESS, STEPS = "ringcraft.policy.rollout.on_success", "ringcraft.policy.rollout.steps"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.controller.policies.LOOK_S", 0.0)


def tier_with_champion(path: Path) -> Tier:
    file = path / "policy.toml"
    write_policy(file, POLICY)
    tier = Tier(path, read_policy(file), policy_file=file)
    tier.registry.move_alias(MODEL, "champion", tier.register(equal))
    tier.until(lambda: bool(tier.table.routes) and tier.route.champion_version == 1)
    return tier


def begin(tier: Tier) -> Policy:
    """Begin a rollout; return the policy kept for it."""
    version = tier.register(equal)
    tier.registry.move_alias(MODEL, "challenger", version)
    tier.until(lambda: tier.desk.state.rollout is not None and tier.desk.state.rollout.live)
    assert tier.desk.state.rollout.version == version
    return kept(tier)


def kept(tier: Tier) -> Policy:
    return PolicyFolder(tier.state_dir / "journal" / "policies").of(tier.desk.state.rollout.rollout_id)


def rewrite(tier: Tier, text: str) -> None:
    part = tier.policy_file.with_suffix(".new")
    part.write_text(text)
    part.replace(tier.policy_file)
    tier.turn()


def events(tier: Tier, kind: str) -> list[str]:
    tier.controller.refresh()
    return [event.text for event in tier.controller.snapshot.events if event.kind == kind]


def test_tags_rule_over_the_file_for_rollouts_that_begin_and_for_no_other(tmp_path: Path) -> None:
    tier = tier_with_champion(tmp_path)
    first = begin(tier)
    assert first == POLICY
    steps = "[{share = 0.0, min_decisions = 7}, {share = 0.25, min_decisions = 9}]"
    tier.registry.set_model_tags(MODEL, {ON_SUCCESS: "promote_if_superior", STEPS: steps})
    tier.turn(decisions=5)
    assert kept(tier) == first
    assert tier.desk.policy == first
    tier.until(lambda: tier.desk.share == 0.5, decisions=20)  # by the steps it began with
    tier.restart_controller()
    tier.until(lambda: tier.controller.caught_up and tier.desk.state.rollout is not None, decisions=5)
    assert tier.desk.policy == first
    second = begin(tier)
    assert second.rollout.on_success == "promote_if_superior"
    assert [step.share for step in second.rollout.steps] == [0.0, 0.25]
    assert second.guardrails == POLICY.guardrails
    tier.until(lambda: tier.desk.share == 0.25, decisions=5)
    assert ERROR_TAG not in tier.registry.model_tags(MODEL)


def test_tags_that_cannot_be_followed_are_answered_and_the_file_s_policy_stays(tmp_path: Path) -> None:
    tier = tier_with_champion(tmp_path)
    tier.registry.set_model_tags(MODEL, {ON_SUCCESS: "perhaps", STEPS: "[{share = 0.0, min_decisions = 7}]"})
    tier.until(lambda: ERROR_TAG in tier.registry.model_tags(MODEL))
    assert ON_SUCCESS in tier.registry.model_tags(MODEL)[ERROR_TAG]
    assert "perhaps" in tier.registry.model_tags(MODEL)[ERROR_TAG]
    assert len(events(tier, "policy_refused")) == 1
    assert begin(tier) == POLICY
    tier.restart_controller()
    for _ in range(3):
        tier.turn()
    assert not tier.controller.writer.waiting
    tier.registry.set_model_tags(MODEL, {ON_SUCCESS: "wait"})
    tier.until(lambda: ERROR_TAG not in tier.registry.model_tags(MODEL))
    assert len(begin(tier).rollout.steps) == 1


def test_file_is_read_again_when_it_changes_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    tier = tier_with_champion(tmp_path)
    first = begin(tier)
    rewrite(tier, "[rollout]\nbake_decisions = 77\n")
    assert events(tier, "policy") == ["policy file read again; rollouts that run keep theirs"]
    assert tier.desk.policy == first
    rewrite(tier, "[rollout]\nbake_decisions = 'many'\n")
    assert "bake_decisions" in events(tier, "policy")[-1]
    assert "stays in force" in events(tier, "policy")[-1]
    tier.turn()
    assert len(events(tier, "policy")) == 2
    assert begin(tier).rollout.bake_decisions == 77
    tier.policy_file.unlink()
    tier.turn()
    assert "No such file" in events(tier, "policy")[-1]
    assert begin(tier).rollout.bake_decisions == 77
    rewrite(tier, "[rollout]\nbake_decisions = 5\n")
    tier.registry.set_model_tags(MODEL, {"ringcraft.policy.guardrails.latency.budget_us": "123"})
    tier.turn()
    both = begin(tier)
    assert (both.rollout.bake_decisions, both.guardrails.latency.budget_us) == (5, 123.0)
