"""Share mismatch: whether the challenger really takes the share of decisions it was routed."""

from math import sqrt
from typing import Any, ClassVar, Final

from data_contracts.watch_policy import ShareWatch as SharePolicy
from serving.guardrails.share_test import ShareTest
from serving.watch.alarm import Watch

BLOCK: Final = 2000
"""Decisions over which the share must be right again before the alarm is cleared."""
_CLEAR_SD: Final = 1.0


class ShareWatch(Watch):
    """Counts who took each decision of an A/B step."""

    name: ClassVar[str] = "share"

    def __init__(self, policy: SharePolicy) -> None:
        """Start with nothing seen."""
        super().__init__(policy.action)
        self._error_rate = policy.error_rate
        self._test = ShareTest(policy.error_rate)
        self._share = 0.0
        """Routed, of the present step."""
        self._decisions = self._taken = 0
        """Of the present step."""
        self._epoch = 0
        """Of the block of decisions that share their keys' assignment; 0: decisions are assigned one by one."""
        self._in_epoch: list[float] = [0, 0, 0.0]
        """Decisions, taken, and the share routed."""
        self._since = [0, 0.0, 0.0]
        """Since the alarm: decisions, taken minus expected, variance."""
        self._well = False

    def fold(self, epoch: int, share: float, taken: bool, keyed: bool) -> None:
        """Fold one decision of an A/B step that was not asked for by name.

        Args:
            epoch: routing epoch.
            share: routed to the challenger, in [0, 1].
            taken: whether the challenger took it.
            keyed: assigned by a key: one key's decisions go to one arm for as long as the epoch lasts, so that the
                epoch is one observation.
        """
        if share != self._share:
            self._share, self._decisions, self._taken = share, 0, 0
        self._decisions += 1
        self._taken += taken
        if not 0.0 < share < 1.0:
            # Nothing was left to chance: a single decision of the wrong arm is a mismatch, and is worth a bet.
            share = 0.999 if share >= 1.0 else 0.001
        if keyed:
            self._fold_keyed(epoch, share, taken)
        else:
            self._test.update(float(taken), share)
        if self.raised_at is not None:
            self._fold_recovery(share, taken)

    def _fold_keyed(self, epoch: int, share: float, taken: bool) -> None:
        if epoch != self._epoch:
            if self._epoch and self._in_epoch[0]:
                self._test.update(self._in_epoch[1] / self._in_epoch[0], self._in_epoch[2])
            self._epoch, self._in_epoch = epoch, [0, 0, share]
        self._in_epoch[0] += 1
        self._in_epoch[1] += taken

    def _fold_recovery(self, share: float, taken: bool) -> None:
        count, apart, variance = self._since
        self._since = [count + 1, apart + taken - share, variance + share * (1.0 - share)]
        if self._since[0] >= BLOCK:
            self._well = abs(self._since[1]) <= _CLEAR_SD * sqrt(self._since[2])
            self._since = [0, 0.0, 0.0]

    def exceeded(self) -> bool:
        """Whether the share served is not the share routed."""
        return self._test.tripped

    def recovered(self) -> bool:
        """Whether a whole block since the alarm was served as routed."""
        return self._well

    def rearm(self) -> None:
        """Begin a new test."""
        self._test, self._well, self._since = ShareTest(self._error_rate), False, [0, 0.0, 0.0]

    def value(self) -> float | None:
        """Return the share served in the present step."""
        return self._taken / self._decisions if self._decisions else None

    def limit(self) -> float | None:
        """Return the share routed in the present step."""
        return self._share if self._decisions else None

    def text(self) -> str:
        """Say both shares."""
        if not self._decisions:
            return "no decision of an A/B step yet"
        served = self._taken / self._decisions
        return f"took {served:.1%} of {self._decisions:,} decisions, routed {self._share:.1%}"

    def save(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {
            "raised_at": self.raised_at,
            "test": self._test.save(),
            "step": [self._share, self._decisions, self._taken],
            "epoch": [self._epoch, *self._in_epoch],
            "since": list(self._since),
            "well": self._well,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take up where `save` left off."""
        self.raised_at, self._test = state["raised_at"], ShareTest.load(state["test"])
        self._share, self._decisions, self._taken = state["step"]
        self._epoch, *self._in_epoch = state["epoch"]
        self._since, self._well = list(state["since"]), state["well"]
