"""Evidence that a version is good enough to promote: valid whenever one looks, with its own error rate."""

from math import exp
from typing import Any, Self

from serving.guardrails.blocks import BlockSums
from serving.guardrails.mixture import evidence_of
from serving.guardrails.pnl_guard import BETS, COSTS, KAPPA


class PromotionTest:
    """Tests "the mean paired difference is at most -margin" against "above it".

    The same block sums and bets as the PnL guard with the sign turned; all bets start together, since
    a version is promoted for what it did over the whole rollout and not for its best stretch. The margin is per
    decision, so a decision on which both did the same is evidence too, and its 0 is folded.
    """

    def __init__(self, *, error_rate: float, overlap: int, margin_sd: float) -> None:
        """Start unwarmed.

        Args:
            error_rate: chance of ever passing a version that is worse than the margin.
            overlap: how many outcomes overlap in time.
            margin_sd: in sd of the difference; above 0 asks for non-inferior, 0 for superior.
        """
        self.error_rate = error_rate
        self.margin_sd = margin_sd
        self.sums = BlockSums(overlap=overlap, skip_zeros=False)
        self.passed = False
        self._wealth = [1.0 / len(BETS)] * len(BETS)
        self._total = 1.0

    def update(self, difference: float) -> bool:
        """Fold one difference; return whether the test has passed, now or before. After NaN it never passes."""
        block = self.sums.push(difference)
        if block is not None:
            self._bet(block.z + self.margin_sd * block.of_one_sd)
        return self.passed

    def _bet(self, z: float) -> None:
        spread = z * z + 2.0 * KAPPA
        self._wealth = [
            held * exp(bet * z - cost * spread) for held, bet, cost in zip(self._wealth, BETS, COSTS, strict=True)
        ]
        self._total = sum(self._wealth)
        # Asked as "met": a NaN total stays below every threshold for ever.
        if self._total >= 1.0 / self.error_rate:
            self.passed = True

    @property
    def e_value(self) -> float:
        """Evidence for promotion; the test passes at 1 / error_rate."""
        return self._total

    @property
    def evidence(self) -> float:
        """Log e-value over log threshold: 1 passes; NaN where a difference was not a number."""
        return self._total if self._total != self._total else evidence_of(self._total, self.error_rate)

    def save(self) -> dict[str, Any]:
        """Return the whole state as JSON can hold it."""
        return {
            "error_rate": self.error_rate,
            "margin_sd": self.margin_sd,
            "wealth": list(self._wealth),
            "total": self._total,
            "passed": self.passed,
            "sums": self.sums.save(),
        }

    @classmethod
    def load(cls, state: dict[str, Any]) -> Self:
        """Return the test that `save` described."""
        test = cls(error_rate=state["error_rate"], overlap=1, margin_sd=state["margin_sd"])
        test.sums.load(state["sums"])
        test._wealth, test._total, test.passed = list(state["wealth"]), state["total"], state["passed"]
        return test
