"""Abstentions: whether the version abstains more often than the other, on decisions that both were asked.

Input that nobody can use makes both abstain and says nothing. Models abstain in runs, so a block of decisions
counts once.
"""

from typing import Any, ClassVar, Final

from data_contracts.watch_policy import AbstentionWatch as AbstentionPolicy
from serving.guardrails.sign_test import SignTest
from serving.watch.alarm import Watch

BLOCK: Final = 100
"""Decisions whose abstentions may have one cause."""
_DECAY: Final = 0.693 / 500
"""Half-life 500 decisions."""


class AbstentionWatch(Watch):
    """Compares abstentions on the same decisions."""

    name: ClassVar[str] = "abstentions"

    def __init__(self, policy: AbstentionPolicy) -> None:
        """Start with nothing seen."""
        super().__init__(policy.action)
        self._policy = policy
        self._test = SignTest(policy.error_rate, block=BLOCK)
        self._excess = 0.0
        self._asked = 0

    def fold(self, version: bool, other: bool) -> None:
        """Fold whether each of the two abstained on a decision."""
        self._asked += 1
        self._excess += max(_DECAY, 1.0 / self._asked) * (version - other - self._excess)
        self._test.update(version, other)

    def exceeded(self) -> bool:
        """Whether it abstains more often, by more than the limit."""
        return self._test.tripped and self._excess > self._policy.excess_max

    def recovered(self) -> bool:
        """Whether of late it was less than half the limit."""
        return self._excess <= self._policy.excess_max / 2.0

    def rearm(self) -> None:
        """Begin a new test."""
        self._test = SignTest(self._policy.error_rate, block=BLOCK)

    def value(self) -> float | None:
        """Return how much more often it abstained, of late, as a share of decisions."""
        return self._excess if self._asked else None

    def limit(self) -> float | None:
        """Return the limit."""
        return self._policy.excess_max

    def text(self) -> str:
        """Say who abstained alone."""
        test = self._test
        if not self._asked:
            return "no decision that both were asked yet"
        return (
            f"abstained alone on {test.worse:,} decisions, the other alone on {test.better:,}; "
            f"of late {self._excess:+.1%}"
        )

    def save(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {
            "raised_at": self.raised_at,
            "test": self._test.save(),
            "excess": self._excess,
            "asked": self._asked,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take up where `save` left off."""
        self.raised_at, self._test = state["raised_at"], SignTest.load(state["test"])
        self._excess, self._asked = state["excess"], state["asked"]
