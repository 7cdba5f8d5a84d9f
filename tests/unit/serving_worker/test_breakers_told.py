"""How breakers are set, and how they are seen."""

import pytest

from data_contracts.errors import UsageError
from data_contracts.settings import BreakerSettings, load_settings
from serving.lineup import Slot, SlotStatus
from serving.told import told_breakers, with_breakers


def test_settings_reach_native_code_in_its_units() -> None:
    assert told_breakers(BreakerSettings(open_ms=250, champion_open="abstain")) == (
        16,
        0,
        100_000,
        8,
        250_000_000,
        False,
    )
    assert told_breakers(BreakerSettings())[-1] is True
    with pytest.raises(UsageError, match="failed_of_64"):
        load_settings(serving={"breakers": {"failed_of_64": 65}})


def test_a_slot_s_status_tells_of_its_own_version_s_breaker() -> None:
    def place(number: int, version: int) -> tuple[Slot, SlotStatus]:
        slot = Slot(slot=number, version=version, folder="", latency_budget_ns=1)
        return slot, SlotStatus(model="m", slot=number, version=version, state="ready")

    slots = {(0, 0): place(0, 5), (0, 1): place(1, 6), (1, 0): place(0, 7), (1, 1): place(1, 9)}
    told = [(0, 0, 5, 2, 3), (0, 1, 6, 1, 1), (1, 0, 4, 2, 1)]  # slot (1, 0) held another version before
    assert [one.breaker for one in with_breakers(slots, told)] == ["open: constant", "half_open", "closed", "closed"]
