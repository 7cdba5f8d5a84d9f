import msgspec
import pytest

from data_contracts.errors import PolicyError
from data_contracts.policy import Policy, Step
from data_contracts.policy_tags import ERROR_TAG, with_tags

BASE = Policy()


def tagged(**values: str) -> Policy:
    return with_tags(BASE, {f"ringcraft.policy.{key.replace('__', '.')}": value for key, value in values.items()})


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("rollout.on_success", "promote_if_superior", "promote_if_superior"),
        ("rollout.on_success", '"wait"', "wait"),
        ("rollout.bake_decisions", "0", 0),
        ("rollout.bake_decisions", " 1_000 ", 1000),
        ("guardrails.pnl.error_rate", "2e-2", 0.02),
        ("guardrails.latency.budget_us", "250", 250.0),
        ("limits.late_or_failed_of_64", "64", 64),
        ("rollout.steps", "[{share = 0.0, min_decisions = 5}]", (Step(share=0.0, min_decisions=5),)),
        ("rollout.steps", '[{"share": 0, "min_decisions": 5}]', (Step(share=0.0, min_decisions=5),)),
    ],
)
def test_a_tag_says_one_value(path: str, text: str, value: object) -> None:
    policy = with_tags(BASE, {f"ringcraft.policy.{path}": text})
    found: object = policy
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value
    assert type(found) is type(value)
    *parents, last = path.split(".")
    tables, other = msgspec.to_builtins(policy), msgspec.to_builtins(BASE)
    for one in (tables, other):
        table = one
        for name in parents:
            table = table[name]
        del table[last]
    assert tables == other


def test_other_tags_say_nothing() -> None:
    assert with_tags(BASE, {"family": "mlp", ERROR_TAG: "something", "ringcraft.policyx": "1"}) is BASE


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("rollout.on_success", "maybe", "ringcraft.policy.rollout.on_success"),
        ("rollout.bake_decisions", "many", "ringcraft.policy.rollout.bake_decisions"),
        ("rollout.bake_decisions", "-1", "ringcraft.policy.rollout.bake_decisions"),
        ("guardrails.pnl.error_rate", "0.04", "sum of at most 0.05"),
        ("guardrails.pnl.error_rate", "nan", "ringcraft.policy.guardrails.pnl.error_rate"),
        ("rollout.steps", "[{share = 0.5, min_decisions = 5}]", "first step to be shadow"),
        ("rollout.steps", "[]", "first step"),
        ("rollout.steps.0.share", "0", "ringcraft.policy.rollout.steps.0.share"),
        ("rollout.nonsense", "1", "expected one of"),
        ("nonsense.at_all", "1", "nonsense"),
        ("rollout", "{}", "ringcraft.policy.rollout"),
        ("", "1", "expected one of"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(path: str, text: str, words: str) -> None:
    if path == "rollout":
        with_tags(BASE, {"ringcraft.policy.rollout": text})  # a whole table, all of it defaults
        return
    with pytest.raises(PolicyError) as error:
        with_tags(BASE, {f"ringcraft.policy.{path}": text})
    assert words in str(error.value)
    assert "\n" not in str(error.value)
