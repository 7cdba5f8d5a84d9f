"""A version that the worker cannot load is refused, told once, and tried again only when that could help."""

from pathlib import Path

import pytest
from support.any_order import UNLOADABLE, HandTier
from support.tier import MODEL

from data_contracts.policy import Policy


def refusals(tier: HandTier) -> list[str]:
    tier.controller.refresh()
    return [event.text for event in tier.controller.snapshot.events if event.kind == "refused"]


def test_it_is_tried_again_when_its_tag_is_cleared_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tier = HandTier(tmp_path, Policy(), monkeypatch)
    tier.registry.move_alias(MODEL, "champion", 1)
    tier.registry.move_alias(MODEL, "challenger", UNLOADABLE)
    tier.settle()
    told, last = refusals(tier), tier.desk_state().last
    assert "no such operator" in told
    tier.settle()
    assert refusals(tier) == told
    assert tier.status_of(UNLOADABLE) == "refused"
    tier.restart()
    tier.settle()
    assert tier.desk_state().last == last
    tier.registry._models[MODEL].versions[UNLOADABLE].tags["ringcraft.status"] = ""
    tier.settle()
    assert tier.status_of(UNLOADABLE) == "refused", "looked at again, and refused again"


def test_its_alias_moved_away_and_back_it_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tier = HandTier(tmp_path, Policy(), monkeypatch)
    tier.registry.move_alias(MODEL, "champion", 1)
    tier.registry.move_alias(MODEL, "challenger", UNLOADABLE)
    tier.settle()
    told = len(refusals(tier))
    tier.registry.delete_alias(MODEL, "challenger")
    tier.settle()
    tier.registry.move_alias(MODEL, "challenger", UNLOADABLE)
    tier.settle()
    assert len(refusals(tier)) > told
    assert tier.status_of(UNLOADABLE) == "refused"
