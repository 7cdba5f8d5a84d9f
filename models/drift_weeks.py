"""Whether a market has become louder or calmer than it was for a year: each week against the weeks before it.

Loudness is the logarithm of the root mean square of successive mid moves, in bps: of hourly bars, some 120 of them a
week. It needs nothing but a touch, so years of bars will do.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from data_contracts.market_event import UNUSABLE
from data_contracts.recording import Recording
from models.drift import DriftResult
from models.drift_feed import session_drift

WEEKS: Final = 52
"""Held against: a year has all seasons once."""
MIN_CHANGE: Final = 0.2
"""Of the logarithm: under a fifth louder or calmer than the year's mean is too little to act on."""
MIN_MOVES: Final = 60
"""Weeks with fewer are left out."""
_DAY_NS: Final = 86_400_000_000_000
_FIRST_MONDAY: Final = 4
"""Days after 1 January 1970."""

Dates = NDArray[np.datetime64]


def weekly_loudness(recording: Recording) -> tuple[Dates, NDArray[np.float64]]:
    """Return each week's Monday (UTC) and its loudness, (k,) each; usable events only, silent weeks left out."""
    events = recording.events[(recording.events["flags"] & UNUSABLE) == 0]
    mid = (events["bid_ticks"] + events["ask_ticks"]) / 2.0
    squares = (1e4 * np.diff(np.log(mid))) ** 2
    weeks = (events["event_ns"][1:] // _DAY_NS - _FIRST_MONDAY) // 7
    found, place, count = np.unique(weeks, return_inverse=True, return_counts=True)
    sums = np.bincount(place, weights=squares)
    kept = (count >= MIN_MOVES) & (sums > 0)
    mondays: Dates = (7 * found[kept] + _FIRST_MONDAY).astype("datetime64[D]")
    return mondays, 0.5 * np.log(sums[kept] / count[kept])


def week_drift(mondays: Dates, loudness: NDArray[np.float64], *, alpha: float) -> tuple[DriftResult, ...]:
    """Return of every week but the first WEEKS whether it differs from the WEEKS before by more than those differ.

    The prediction interval of models.drift_feed.session_drift; `alpha` is the chance of a false alarm a week, exact
    were the weeks independent.

    Args:
        mondays: (k,), rising.
        loudness: (k,), one a week.
        alpha: a week's.
    """
    return tuple(
        session_drift(
            loudness[week - WEEKS : week].tolist(),
            float(loudness[week]),
            alpha=alpha,
            name=str(mondays[week]),
            least=MIN_CHANGE,
        )
        for week in range(WEEKS, len(loudness))
    )
