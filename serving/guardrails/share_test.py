"""Tests that the challenger takes the share it was routed, however often one looks: a sequential sample-ratio test.

Bets on shares a little or much above and below the routed one, mixed over sizes and over starting times. With
probability p of an event, 1 + l(x - p) has mean 1 and is never negative for the bets below, so the wealth is a
martingale while what was routed is what is served, also where p differs from decision to decision.

Source: Lindon & Malek (2022), "Anytime-valid inference for multinomial count data", NeurIPS 35, for the problem;
Waudby-Smith & Ramdas (2024), "Estimating means of bounded random variables by betting", JRSS B 86(1), for the bets.
"""

from typing import Any, Final, Self

from serving.guardrails.mixture import evidence_of, restart_weight

SIZES: Final = (0.05, 0.15, 0.5, 0.95)
"""Relative distance of the served share from the routed one that is bet on, both ways."""
_BETS: Final = (*SIZES, *(-size for size in SIZES))
_CAP: Final = 4.0


class ShareTest:
    """Watches who took each decision, or which share of a block of them."""

    def __init__(self, error_rate: float, horizon: int = 100_000) -> None:
        """Start with nothing seen.

        Args:
            error_rate: chance of ever tripping while the share served is the share routed.
            horizon: observations over which bets on a later start are spread.
        """
        self.error_rate, self.horizon = error_rate, horizon
        self._cap = _CAP / error_rate
        self._wealth = [0.5 / len(_BETS)] * len(_BETS)
        self._total = 0.5
        self._seen = 0

    def update(self, taken: float, share: float) -> None:
        """Fold one observation.

        Args:
            taken: 1 where the challenger took the decision, 0 where not; of a block, the share it took.
            share: that it was routed, in (0, 1).
        """
        if share > 0.5:  # bet on the smaller arm: the same question, and every bet stays affordable
            taken, share = 1.0 - taken, 1.0 - share
        self._seen += 1
        late = restart_weight(self._seen, self.horizon) / len(_BETS)
        gain = (taken - share) / (1.0 - share)
        self._wealth = [(held + late) * (1.0 + bet * gain) for held, bet in zip(self._wealth, _BETS, strict=True)]
        self._total = sum(self._wealth)
        if self._total > self._cap:  # what is given up keeps nothing false, and lets evidence fade
            self._wealth = [min(self._cap, held) for held in self._wealth]

    @property
    def tripped(self) -> bool:
        """Whether the evidence is beyond the threshold now."""
        return not self._total < 1.0 / self.error_rate

    @property
    def e_value(self) -> float:
        """Evidence against "served as routed"; the test trips at 1 / error_rate."""
        return self._total

    @property
    def evidence(self) -> float:
        """Log e-value over log threshold: 1 trips."""
        return evidence_of(self._total, self.error_rate)

    def save(self) -> dict[str, Any]:
        """Return the whole state as JSON can hold it."""
        return {
            "error_rate": self.error_rate,
            "horizon": self.horizon,
            "wealth": list(self._wealth),
            "total": self._total,
            "seen": self._seen,
        }

    @classmethod
    def load(cls, state: dict[str, Any]) -> Self:
        """Return the test that `save` described."""
        test = cls(state["error_rate"], state["horizon"])
        test._wealth, test._total, test._seen = list(state["wealth"]), state["total"], state["seen"]
        return test
