"""Which salt each model's keys are drawn with: kept while only the share moves, new for whoever is compared anew.

A key that recurs (an instrument, an account) stays on one arm as long as the salt does. Held for ever, what its
instrument happened to earn would be taken for what the version earned, so it is drawn anew every so many decisions.
"""

import secrets
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from data_contracts.journal import AssignBy
from native._native import Route
from serving.rollout.desk import Desk
from serving.rollout.model_fold import ModelFold

ASSIGN_BY: Final = {
    "decision": AssignBy.DECISION,
    "instrument": AssignBy.INSTRUMENT,
    "account": AssignBy.ACCOUNT,
    "request_key": AssignBy.REQUEST_KEY,
}

Compared = tuple[int, int, int]
"""Rollout, champion, challenger."""


class _Held(Struct):
    salt: int
    compared: Compared
    epoch: int
    """The newest that the journal showed when the salt was drawn: a later one carries it."""


class Salts:
    """The salts in force, by model index."""

    def __init__(self, routes: Sequence[Route], draw: Callable[[], int] = lambda: secrets.randbits(64)) -> None:
        """Go on with the salts of `routes`, those in the table when the controller starts."""
        self._draw = draw
        self._held = {
            route.model: _Held(route.salt, (route.rollout_id, route.champion_version, route.challenger_version), 0)
            for route in routes
        }

    def of(self, desk: Desk, fold: ModelFold | None) -> int:
        """Return the model's salt for the next epoch; a new one where it is due.

        Args:
            desk: the model's.
            fold: its journal so far, None before its first record.
        """
        compared, epoch = _compared(desk), fold.epoch.epoch if fold is not None and fold.epoch is not None else 0
        held = self._held.get(desk.state.index)
        if held is None or held.compared != compared or self._worn(desk, fold, held, epoch):
            held = self._held[desk.state.index] = _Held(self._draw(), compared, epoch)
        return held.salt

    def _worn(self, desk: Desk, fold: ModelFold | None, held: _Held, epoch: int) -> bool:
        rule = desk.policy.assignment
        if rule.by == "decision" or not rule.resalt_decisions or not desk.share or fold is None:
            return False  # a decision's id never recurs
        return epoch > held.epoch and sum(fold.epoch_arms) >= rule.resalt_decisions


def _compared(desk: Desk) -> Compared:
    rollout = desk.state.rollout
    if rollout is None or not rollout.live:
        return 0, desk.state.champion or 0, 0
    other = rollout.control if rollout.kind == "bake" else rollout.version
    return rollout.rollout_id, desk.state.champion or 0, other or 0
