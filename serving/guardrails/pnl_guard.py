"""The PnL guard: takes a version off when it earns less than the champion, however often one looks.

An e-process over standardised block sums, mixed over bet sizes and over starting times. By Ville's inequality the
chance that it ever trips on a version that is not worse is at most the error rate, at any stopping time. Only
second moments are assumed: exp(x - x^2/6) <= 1 + x + x^2/3 (Delyon 2009, "Exponential inequalities for sums of
weakly dependent variables"), so neither symmetry nor light tails are needed.
"""

from math import exp
from typing import Any, Final, Self

from serving.guardrails.blocks import Block, BlockSums
from serving.guardrails.mixture import START_MASS, evidence_of, restart_weight

KAPPA: Final = 1.1
"""Allowance for a variance that is estimated."""
BETS: Final = tuple(0.03 * (1.2 / 0.03) ** (i / 7) for i in range(8))
START_SHARES: Final = (0.05, 0.08, 0.12, 0.19, 0.21, 0.18, 0.11, 0.06)
"""Of the mass of the bets made from the start: most where a loss of 0.05 to 0.2 sd a decision is found soonest. A tenth
less delay there than with equal shares; losses under 0.03 sd, which take tens of thousands of decisions, wait longer.
Later starts share equally: chosen with hindsight, the same shares took drifts of 0.03 sd for losses, 5 % for 3 %."""
COSTS: Final = tuple(bet * bet / 6.0 for bet in BETS)
START_MARGIN: Final = 0.25
"""Share of the margin that bets made from the start need: only a later start is chosen with hindsight."""


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
            margin_sd: how much worse than the champion, in sd of the difference, a stretch of decisions may be and
                still count as equal; over everything since the start, a quarter of it.
            warm: differences that only teach the scale, and as many again in blocks; None: 200 and ten blocks.
        """
        self.error_rate = error_rate
        self.margin_sd = margin_sd
        self.sums = BlockSums(overlap=overlap, warm=warm)
        self.horizon_blocks = max(1, horizon // self.sums.block)
        self.tripped = False
        self._judged = 0
        self._from_start = [START_MASS * share for share in START_SHARES]
        self._restarted = [0.0] * len(BETS)
        self._total = 0.5
        self._threshold = 1.0 / error_rate

    def update(self, difference: float) -> bool:
        """Fold one difference; return whether the guard has tripped, now or before. NaN trips."""
        block = self.sums.push(difference)
        if block is not None:
            self._bet(block)
        return self.tripped

    def _bet(self, block: Block) -> None:
        self._judged += 1
        margin = self.margin_sd * block.of_one_sd
        self._from_start = _grown(self._from_start, 0.0, block.z + START_MARGIN * margin)
        share = restart_weight(self._judged, self.horizon_blocks) / len(BETS)
        self._restarted = _grown(self._restarted, share, block.z + margin)
        self._total = sum(self._from_start) + sum(self._restarted)
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
            "margin_sd": self.margin_sd,
            "from_start": list(self._from_start),
            "restarted": list(self._restarted),
            "total": self._total,
            "tripped": self.tripped,
            "sums": self.sums.save(),
        }

    @classmethod
    def load(cls, state: dict[str, Any]) -> Self:
        """Return the guard that `save` described; going on gives the same alarms."""
        guard = cls(error_rate=state["error_rate"], horizon=1, overlap=1, margin_sd=state["margin_sd"])
        guard.sums.load(state["sums"])
        guard.horizon_blocks, guard._judged = state["horizon_blocks"], state["judged"]
        guard._from_start, guard._restarted = list(state["from_start"]), list(state["restarted"])
        guard._total, guard.tripped = state["total"], state["tripped"]
        return guard


def _grown(wealth: list[float], share: float, z: float) -> list[float]:
    """Return the bets' wealth after a block of z, each joined beforehand by `share` of new ones."""
    spread = z * z + 2.0 * KAPPA
    return [(held + share) * exp(-bet * z - cost * spread) for held, bet, cost in zip(wealth, BETS, COSTS, strict=True)]
