"""Salts over a whole rollout: kept while only the share moves, drawn anew for recurring keys, kept by a restart."""

from pathlib import Path

import msgspec
import pytest
from support.journals import equal
from support.tier import MODEL, Tier

from data_contracts.journal import AssignBy, Phase
from data_contracts.policy import Assignment, Policy, Rollout, Step

SHADOW, AB = Step(share=0.0, min_decisions=100), Step(share=0.2, min_decisions=100_000)
POLICY = Policy(rollout=Rollout(steps=(SHADOW, AB), max_decisions=100_000))


def in_ab(path: Path, by: str, resalt_decisions: int) -> Tier:
    """A tier whose challenger has just begun to act, and the salt it had in shadow."""
    rule = Assignment(by=by, resalt_decisions=resalt_decisions)  # type: ignore[arg-type]  # one of four, by the tests
    tier = Tier(path, msgspec.structs.replace(POLICY, assignment=rule))
    for alias in ("champion", "challenger"):
        tier.registry.move_alias(MODEL, alias, tier.register(equal))
        tier.until(lambda: bool(tier.table.routes) and tier.status_of(1) == "champion")
    tier.until(lambda: tier.route.phase == Phase.SHADOW)
    return tier


def salts_over(tier: Tier, decisions: int) -> list[int]:
    """Each salt in force after another ten decisions."""
    salts = []
    for _ in range(decisions // 10):
        tier.turn(10)
        salts.append(tier.route.salt)
    return salts


def test_step_keeps_the_salt_and_a_rollout_brings_its_own(tmp_path: Path) -> None:
    tier = in_ab(tmp_path, "instrument", 0)
    in_shadow = tier.route.salt
    tier.until(lambda: tier.route.phase == Phase.AB, decisions=20)
    assert (tier.route.salt, tier.route.assign_by) == (in_shadow, AssignBy.INSTRUMENT)
    assert set(salts_over(tier, 500)) == {in_shadow}  # resalt_decisions is 0
    tier.registry.move_alias(MODEL, "challenger", tier.register(equal))
    tier.until(lambda: tier.route.challenger_version == 3)
    assert tier.route.salt != in_shadow


@pytest.mark.parametrize(("by", "changes"), [("instrument", (4, 6)), ("account", (4, 6)), ("decision", (1, 1))])
def test_only_keys_that_recur_are_drawn_anew(tmp_path: Path, by: str, changes: tuple[int, int]) -> None:
    tier = in_ab(tmp_path, by, 100)
    tier.until(lambda: tier.route.phase == Phase.AB, decisions=20)
    epoch = tier.table.epoch
    different = len(set(salts_over(tier, 500)))
    assert changes[0] <= different <= changes[1]
    assert tier.table.epoch - epoch == different - 1  # no epoch but those that carry a new salt


def test_controller_that_starts_again_keeps_the_salt(tmp_path: Path) -> None:
    tier = in_ab(tmp_path, "instrument", 0)
    tier.until(lambda: tier.route.phase == Phase.AB, decisions=20)
    salt, epoch = tier.route.salt, tier.table.epoch
    tier.restart_controller()
    tier.until(lambda: tier.table.epoch > epoch, decisions=10)
    assert (tier.route.salt, tier.route.phase) == (salt, Phase.AB)
