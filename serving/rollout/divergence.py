"""How far a version's answers lie from the champion's on the same decisions, overall and by instrument.

Sums, and a bounded window for the rank correlation, which is computed only when it is asked for.
"""

from collections import deque
from collections.abc import Iterable
from math import isfinite
from typing import Any, Final

import numpy as np
from msgspec import Struct

from data_contracts.journal import Arm
from serving.rollout.records import DecisionRow, ShadowRow
from serving.watch.ranks import mean_ranks

WINDOW: Final = 512
"""Newest pairs that the rank correlation is over; of one instrument, 128."""
INSTRUMENT_WINDOW: Final = 128
INSTRUMENTS_MAX: Final = 64
"""Instruments told apart; what further ones say counts only overall."""
RANKED_LEAST: Final = 10
_UNITS: Final = {1: "bps", 3: "probability"}
"""By the number of outputs, see data_contracts.manifest.DecisionRule."""
_CHAMPION: Final = int(Arm.CHAMPION)


class DivergenceReading(Struct, frozen=True, kw_only=True):
    """How far one version is from the champion."""

    version: int
    against: int
    """The champion's version."""
    instrument: int | None
    """None: all of them."""
    count: int
    """Decisions that both answered."""
    dropped: int
    """Decisions on which one of the two was never scored."""
    unit: str
    """Of the differences: bps, or probability (of P(up) - P(down)); empty where outputs are of other kinds."""
    mean_difference: float | None
    """Of outputs, absolute; None: the two are not of one kind."""
    max_difference: float | None
    disagreement: float | None
    """Share of the decisions that both answered on which their actions differ."""
    rank_correlation: float | None
    """Spearman's, over the newest pairs; None for fewer than ten, or where one of the two never moves."""


class Pairs:
    """Sums over the decisions that two versions answered."""

    __slots__ = ("alike", "count", "disagreed", "dropped", "largest", "newest", "outputs", "total")

    def __init__(self, window: int) -> None:
        """Start with none."""
        self.count = self.dropped = self.disagreed = 0
        self.total = self.largest = 0.0
        self.outputs = 0
        """How many the champion gives."""
        self.alike = True
        """Both give the same kind of output."""
        self.newest: deque[tuple[float, float]] = deque(maxlen=window)

    def add(self, champion: float, other: float, outputs: int, *, agree: bool, alike: bool) -> None:
        """Fold the outputs of one decision."""
        self.count += 1
        self.outputs = outputs
        self.disagreed += not agree
        self.alike = self.alike and alike
        apart = abs(other - champion)
        self.total += apart
        self.largest = max(self.largest, apart)
        self.newest.append((champion, other))

    def reading(self, version: int, against: int, instrument: int | None) -> DivergenceReading:
        """Return what the pairs say."""
        known = self.count > 0 and self.alike
        return DivergenceReading(
            version=version,
            against=against,
            instrument=instrument,
            count=self.count,
            dropped=self.dropped,
            unit=_UNITS.get(self.outputs, "") if known else "",
            mean_difference=self.total / self.count if known else None,
            max_difference=self.largest if known else None,
            disagreement=self.disagreed / self.count if self.count else None,
            rank_correlation=rank_correlation(self.newest),
        )

    def save(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        state = {name: getattr(self, name) for name in self.__slots__}
        return state | {"newest": [list(pair) for pair in self.newest], "window": self.newest.maxlen}

    @classmethod
    def load(cls, state: dict[str, Any]) -> "Pairs":
        """Return the pairs that `save` described."""
        pairs = cls(state["window"])
        for name in set(cls.__slots__) - {"newest"}:
            setattr(pairs, name, state[name])
        pairs.newest.extend((champion, other) for champion, other in state["newest"])
        return pairs


class Divergence:
    """One version against one champion."""

    def __init__(self, version: int, against: int) -> None:
        """Start with nothing seen."""
        self.version, self.against = version, against
        self.overall = Pairs(WINDOW)
        self.by_instrument: dict[int, Pairs] = {}

    def places(self, instrument: int) -> tuple[Pairs, ...]:
        """Return where a decision on the instrument counts."""
        of_it = self.by_instrument.get(instrument)
        if of_it is None:
            if len(self.by_instrument) >= INSTRUMENTS_MAX:
                return (self.overall,)
            of_it = self.by_instrument[instrument] = Pairs(INSTRUMENT_WINDOW)
        return self.overall, of_it


class Divergences:
    """Every version that is scored beside the champion: challenger, control and plain shadows alike."""

    def __init__(self) -> None:
        """Start with none."""
        self._of: dict[int, Divergence] = {}

    def fold(self, decision: DecisionRow, shadows: Iterable[ShadowRow]) -> None:
        """Fold what all versions made of one decision."""
        scored: list[DecisionRow | ShadowRow] = [decision, *shadows]
        champion = next((one for one in scored if one.arm == _CHAMPION), None)
        if champion is None or not champion.version:
            return
        for other in scored:
            if other is not champion and other.version:
                self._pair(decision.instrument, champion, other)

    def _pair(self, instrument: int, champion: DecisionRow | ShadowRow, other: DecisionRow | ShadowRow) -> None:
        divergence = self._of.get(other.version)
        if divergence is None or divergence.against != champion.version:
            # Against another champion it is another question.
            divergence = self._of[other.version] = Divergence(other.version, champion.version)
        if _dropped(champion) or _dropped(other):
            for pairs in divergence.places(instrument):
                pairs.dropped += 1
            return
        answered = not champion.abstain and not other.abstain
        if not answered or not isfinite(champion.score) or not isfinite(other.score):
            return
        agree, alike = champion.action == other.action, champion.outputs == other.outputs
        for pairs in divergence.places(instrument):
            pairs.add(champion.score, other.score, champion.outputs, agree=agree, alike=alike)

    def readings(self) -> tuple[DivergenceReading, ...]:
        """Return all versions, each overall and then instrument by instrument."""
        found = []
        for divergence in self._of.values():
            who = (divergence.version, divergence.against)
            found.append(divergence.overall.reading(*who, None))
            by_instrument = sorted(divergence.by_instrument.items())
            found += [pairs.reading(*who, instrument) for instrument, pairs in by_instrument]
        return tuple(found)

    def save(self) -> list[dict[str, Any]]:
        """Return everything as JSON can hold it."""
        return [
            {
                "version": one.version,
                "against": one.against,
                "overall": one.overall.save(),
                "by_instrument": [[instrument, pairs.save()] for instrument, pairs in one.by_instrument.items()],
            }
            for one in self._of.values()
        ]

    @classmethod
    def load(cls, state: list[dict[str, Any]]) -> "Divergences":
        """Return what `save` described."""
        found = cls()
        for one in state:
            divergence = found._of[one["version"]] = Divergence(one["version"], one["against"])
            divergence.overall = Pairs.load(one["overall"])
            divergence.by_instrument = {instrument: Pairs.load(pairs) for instrument, pairs in one["by_instrument"]}
        return found


def _dropped(row: DecisionRow | ShadowRow) -> bool:
    return isinstance(row, ShadowRow) and bool(row.dropped)


def rank_correlation(pairs: Iterable[tuple[float, float]]) -> float | None:
    """Return Spearman's rank correlation, ties sharing their mean rank; None where it is not defined.

    Source: Spearman (1904), "The proof and measurement of association between two things", Am. J. Psychology 15.
    """
    table = np.array(list(pairs), dtype=np.float64)
    if len(table) < RANKED_LEAST:
        return None
    one, other = mean_ranks(table[:, 0]), mean_ranks(table[:, 1])
    one, other = one - one.mean(), other - other.mean()
    spread = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / spread if spread > 0.0 else None
