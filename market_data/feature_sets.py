"""The feature sets that models may read: names, half-lives and warm-up of what native code computes."""

from collections.abc import Sequence
from typing import Final

from data_contracts.errors import UsageError
from data_contracts.feature_set import FeatureSet
from data_contracts.recording import Recording

_SESSION_GAP_S: Final = 600.0  # a lunch break or a night; the longest in-session silence seen is seconds
_WARM_UP_EVENTS: Final = 200

TOUCH_V1: Final = FeatureSet(
    name="touch_v1",
    features=(
        "spread_ticks",
        "queue_imbalance",  # (bid lots - ask lots) / (bid lots + ask lots)
        "weighted_mid_offset_ticks",  # size-weighted mid - mid
        "order_flow_1s",  # decayed order-flow imbalance (Cont et al. 2014) / decayed mean depth
        "order_flow_5s",
        "order_flow_30s",
        "trade_imbalance_1s",  # decayed signed lots / (decayed lots + 1)
        "trade_imbalance_5s",
        "trade_imbalance_30s",
        "mid_minus_mean_1s",  # mid - its time-weighted exponential mean, ticks
        "mid_minus_mean_5s",
        "mid_minus_mean_30s",
        "volatility_30s_ticks",  # root of the decayed sum of squared mid moves
        "last_trade_offset_ticks",  # last trade - mid; 0 before the first
        "log_gap_ms",  # log(1 + ms since the event before)
        "log_intensity",  # log(1 + events/s, decayed over 5 s)
    ),
    parameters={
        "half_life_0_s": 1.0,
        "half_life_1_s": 5.0,
        "half_life_2_s": 30.0,
        "needs_sizes": 1.0,
        "session_gap_s": _SESSION_GAP_S,
    },
    warm_up_events=_WARM_UP_EVENTS,
)
"""Sizes and trades at the touch."""

QUOTES_V1: Final = FeatureSet(
    name="quotes_v1",
    features=(
        "spread_ticks",
        "spread_ratio_30s",  # spread / its decayed mean; 1 where that is 0
        "mid_minus_mean_1s",
        "mid_minus_mean_5s",
        "mid_minus_mean_30s",
        "mid_minus_mean_120s",
        "mid_move_1_ticks",  # the last event's move of the mid, the one before, and before that
        "mid_move_2_ticks",
        "mid_move_3_ticks",
        "volatility_5s_ticks",
        "volatility_120s_ticks",
        "direction_autocorrelation_30s",  # decayed products of successive moves / decayed squares
        "log_gap_ms",
        "log_intensity",
        "bid_only_move_ticks",  # the bid's last move where the ask stood still, else 0
        "ask_only_move_ticks",
    ),
    parameters={
        "half_life_0_s": 1.0,
        "half_life_1_s": 5.0,
        "half_life_2_s": 30.0,
        "half_life_3_s": 120.0,
        "needs_sizes": 0.0,
        "session_gap_s": _SESSION_GAP_S,
    },
    warm_up_events=_WARM_UP_EVENTS,
)
"""Prices alone, for feeds that give no sizes."""

FEATURE_SETS: Final = {each.name: each for each in (TOUCH_V1, QUOTES_V1)}


def feature_set(name: str) -> FeatureSet:
    """Return the feature set of that name.

    Raises:
        UsageError: there is none.
    """
    try:
        return FEATURE_SETS[name]
    except KeyError:
        choices = ", ".join(sorted(FEATURE_SETS))
        raise UsageError(f"feature set: expected one of {choices}, got {name!r}") from None


def needs_sizes(features: FeatureSet) -> bool:
    """Whether the set reads lots, so that a recording without them cannot feed it."""
    return features.parameters["needs_sizes"] == 1.0


def default_feature_set(recordings: Sequence[Recording]) -> FeatureSet:
    """Return touch_v1 where every recording gives sizes, else quotes_v1."""
    return TOUCH_V1 if all(recording.has_sizes for recording in recordings) else QUOTES_V1
