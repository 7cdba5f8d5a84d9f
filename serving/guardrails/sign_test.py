"""The sign test: which of two versions does worse on the decisions where only one of them does.

On a decision that both scored, what hits the machine hits both: such pairs agree and say nothing. Of the pairs that
part, a version that is no worse has at most its fair share against it. The test is an e-process, so it stays honest
however often one looks: with probability `null` of a pair being against the version, 1 + l(1 - null)/null for one
against and 1 - l for one in favour multiply to a supermartingale.

Source: Ramdas, Grünwald, Vovk & Shafer (2023), "Game-theoretic statistics and safe anytime-valid inference",
Statistical Science 38(4); betting on a bounded mean.
"""

from typing import Any, Final, Self

from serving.guardrails.mixture import evidence_of

BETS: Final = (0.3, 0.7, 0.9)
"""How far from `null` to 1 the chance of a pair against the version is taken to lie."""
PRIOR: Final = (0.15, 0.25, 0.6)
_START: Final = 0.9
"""Prior mass of bets from the first pair on: a version that is slow is slow at once, and pairs that part are rare."""
_EVEN: Final = 0.09
_CAP: Final = 4.0
"""Wealth that one bet may hold, in thresholds: what it gives up keeps nothing false, and lets evidence fade."""


class SignTest:
    """Watches pairs of which exactly one is bad."""

    def __init__(self, error_rate: float, horizon: int = 1000, block: int = 1) -> None:
        """Start with nothing seen.

        Args:
            error_rate: chance of ever tripping on a version that is no worse.
            horizon: blocks with a pair that parts, over which bets on a later start are spread.
            block: decisions that one cause may hit together, whose pairs are taken as one; 1: isolated.
        """
        self.error_rate, self.horizon, self.block = error_rate, horizon, block
        self.worse = self.better = 0
        """Pairs against the version, and in its favour."""
        self._wealth = [_START * share for share in PRIOR]
        self._total = _START
        self._threshold = 1.0 / error_rate
        self._judged = self._in_block = self._against = self._parted = 0

    def update(self, worse: bool, better: bool, null: float = 0.5) -> None:
        """Fold one decision that both scored.

        Args:
            worse: the version did badly.
            better: the one it is held against did.
            null: chance that a pair that parts is against the version where it is no worse, in (0, 1).
        """
        if worse != better:
            self._parted += 1
            if worse:
                self.worse += 1
                self._against += 1
            else:
                self.better += 1
        self._in_block += 1
        if self._in_block >= self.block:
            if self._parted:
                self._bet(self._against / self._parted, null)
            self._in_block = self._against = self._parted = 0

    def _bet(self, share: float, null: float) -> None:
        self._judged = n = self._judged + 1
        late = _EVEN / self.horizon if n <= self.horizon else (1 - _START - _EVEN) * self.horizon / (n * (n + 1.0))
        gain, cap = (share - null) / null, _CAP * self._threshold
        self._wealth = [
            min(cap, (held + late * part) * (1.0 + bet * gain))
            for held, part, bet in zip(self._wealth, PRIOR, BETS, strict=True)
        ]
        self._total = sum(self._wealth)

    @property
    def tripped(self) -> bool:
        """Whether the evidence is beyond the threshold now."""
        return not self._total < self._threshold

    @property
    def e_value(self) -> float:
        """Evidence against "no worse"; the test trips at 1 / error_rate."""
        return self._total

    @property
    def evidence(self) -> float:
        """Log e-value over log threshold: 1 trips."""
        return evidence_of(self._total, self.error_rate)

    @property
    def pairs(self) -> int:
        """Pairs that parted."""
        return self.worse + self.better

    def save(self) -> dict[str, Any]:
        """Return the whole state as JSON can hold it."""
        return {
            "error_rate": self.error_rate,
            "horizon": self.horizon,
            "block": self.block,
            "wealth": list(self._wealth),
            "total": self._total,
            "counts": [self.worse, self.better, self._judged, self._in_block, self._against, self._parted],
        }

    @classmethod
    def load(cls, state: dict[str, Any]) -> Self:
        """Return the test that `save` described; going on gives the same e-values."""
        test = cls(state["error_rate"], state["horizon"], state["block"])
        test._wealth, test._total = list(state["wealth"]), state["total"]
        test.worse, test.better, test._judged, test._in_block, test._against, test._parted = state["counts"]
        return test
