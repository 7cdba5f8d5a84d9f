"""The PnL guard: takes a version off when it earns less than the champion, however often one looks.

An e-process over standardised block sums, mixed over bet sizes and over starting times. By Ville's inequality the
chance that it ever trips on a version that is not worse is at most the error rate, at any stopping time. Only
second moments are assumed: exp(x - x^2/6) <= 1 + x + x^2/3 (Delyon 2009, "Exponential inequalities for sums of
weakly dependent variables"), so neither symmetry nor light tails are needed.
"""

from math import exp
from typing import Any, Final, Self

from serving.guardrails.blocks import BlockSums
from serving.guardrails.mixture import evidence_of, restart_weight, start_weights

KAPPA: Final = 1.1
"""Allowance for a variance that is estimated."""
BETS: Final = tuple(0.03 * (1.2 / 0.03) ** (i / 7) for i in range(8))
COSTS: Final = tuple((bet, bet * bet / 6.0) for bet in BETS)


class PnlGuard:
    """Watches paired differences, challenger minus champion, in decision order."""

    def __init__(
        self, *, error_rate: float, horizon: int, overlap: int, margin_sd: float = 0.01, warm: int | None = None
    ) -> None:
        """Start unwarmed.

        Args:
            error_rate: chance of ever tripping on a version that is not worse than the margin.
            horizon: differences over which detection is tuned; validity does not depend on it.
            overlap: how many outcomes overlap in time.
            margin_sd: how much worse, in sd of the difference, still counts as equal.
            warm: differences that only teach the scale, and as many again in blocks; None: 200 and ten blocks.
        """
        self.error_rate = error_rate
        self.sums = BlockSums(overlap=overlap, margin_sd=margin_sd, warm=warm)
        self.horizon_blocks = max(1, horizon // self.sums.block)
        self.tripped = False
        self._judged = 0
        self._wealth = start_weights(len(BETS))
        self._total = 0.5
        self._threshold = 1.0 / error_rate

    def update(self, difference: float) -> bool:
        """Fold one difference; return whether the guard has tripped, now or before. NaN trips."""
        z = self.sums.push(difference)
        if z is not None:
            self._bet(z)
        return self.tripped

    def _bet(self, z: float) -> None:
        self._judged += 1
        share = restart_weight(self._judged, self.horizon_blocks) / len(BETS)
        spread = z * z + 2.0 * KAPPA
        self._wealth = wealth = [
            (held + share) * exp(-bet * z - cost * spread)
            for held, (bet, cost) in zip(self._wealth, COSTS, strict=True)
        ]
        self._total = sum(wealth)
        # Asked as "still met", so that NaN trips.
        if not self._total < self._threshold:
            self.tripped = True

    @property
    def e_value(self) -> float:
        """Evidence against "not worse"; the guard trips at 1 / error_rate."""
        return self._total

    @property
    def evidence(self) -> float:
        """Log e-value over log threshold: 1 trips."""
        return evidence_of(self._total, self.error_rate)

    @property
    def events(self) -> int:
        """Differences folded, zeros apart."""
        return self.sums.events

    def save(self) -> dict[str, Any]:
        """Return the whole state as JSON can hold it; a restart must not reset the error rate."""
        return {
            "error_rate": self.error_rate,
            "horizon_blocks": self.horizon_blocks,
            "judged": self._judged,
            "wealth": list(self._wealth),
            "total": self._total,
            "tripped": self.tripped,
            "sums": self.sums.save(),
        }

    @classmethod
    def load(cls, state: dict[str, Any]) -> Self:
        """Return the guard that `save` described; going on gives the same alarms."""
        guard = cls(error_rate=state["error_rate"], horizon=1, overlap=1)
        guard.sums.load(state["sums"])
        guard.horizon_blocks, guard._judged = state["horizon_blocks"], state["judged"]
        guard._wealth, guard._total, guard.tripped = list(state["wealth"]), state["total"], state["tripped"]
        return guard
