"""The feature sets that models may read: names, half-lives and warm-up of what native code computes."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

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

MICROPRICE: Final = "microprice_ticks"
"""The table of depth_v1: microprice less mid, a row a spread of 1, 2, .. ticks, a column a bin of the imbalance."""

DEPTH_V1: Final = FeatureSet(
    name="depth_v1",
    features=(
        "spread_ticks",
        "queue_imbalance",
        "depth_imbalance_3",  # (bid lots - ask lots) / their sum, of the first three levels
        "depth_imbalance_5",
        "depth_imbalance_10",
        "weighted_mid_offset_ticks",
        "microprice_offset_ticks",  # Stoikov 2018, from the fitted table, less the mid
        "log_depth_slope_bid",  # log(1 + lots a tick of the line that fits cumulative lots against distance)
        "log_depth_slope_ask",
        "depth_slope_imbalance",
        "order_flow_L1_5s",  # of one level (Cont, Cucuringu & Zhang 2023), over mean lots of a level
        "order_flow_L2_5s",
        "order_flow_L3_5s",
        "order_flow_L4_5s",
        "order_flow_L5_5s",
        "order_flow_levels_1s",  # mean of the five levels
        "order_flow_levels_5s",
        "order_flow_levels_30s",
        "trade_imbalance_1s",
        "trade_imbalance_5s",
        "trade_imbalance_30s",
        "log_signed_volume_5s",  # sign x log(1 + |decayed signed lots|)
        "log_signed_volume_30s",
        "log_buy_intensity_5s",  # log(1 + trades/s whose aggressor bought)
        "log_buy_intensity_30s",
        "log_sell_intensity_5s",
        "log_sell_intensity_30s",
        "log_intensity_5s",
        "mid_minus_mean_1s",
        "mid_minus_mean_5s",
        "mid_minus_mean_30s",
        "volatility_5s_ticks",
        "volatility_30s_ticks",
        "volatility_120s_ticks",
        "log_gap_ms",
        "log_trade_gap_ms",  # log(1 + ms since the last trade, or since the session began)
        "log_session_s",  # log(1 + s since the session began)
        "day_sin",  # of the time of day where the instrument trades, 0 at midnight
        "day_cos",
    ),
    parameters={
        "half_life_0_s": 1.0,
        "half_life_1_s": 5.0,
        "half_life_2_s": 30.0,
        "half_life_3_s": 120.0,
        "needs_sizes": 1.0,
        "needs_depth": 1.0,
        "microprice_spreads": 5.0,
        "microprice_bins": 10.0,
        "session_gap_s": _SESSION_GAP_S,
    },
    warm_up_events=_WARM_UP_EVENTS,
)
"""Ten levels of the book, trades, and the clock; to be fitted before it is used."""

LEAD_LAG_V1: Final = FeatureSet(
    name="lead_lag_v1",
    features=(
        "spread_ticks",
        "mid_minus_mean_1s",
        "mid_minus_mean_5s",
        "mid_minus_mean_30s",
        "volatility_30s_ticks",
        "log_gap_ms",
        "leader_move_1s_bps",  # the leader's log mid less its time-weighted exponential mean
        "leader_move_5s_bps",
        "leader_move_30s_bps",
        "log_leader_gap_ms",  # log(1 + ms since the leader's last event)
        "basis_move_30s_bps",  # log(mid / leader's mid) less its mean
        "lead_correlation_120s",  # the leader's moves of about 1 s with what follows here
        "lag_correlation_120s",  # the other way round
        "leader_pull_bps",  # regression of the next move on the leader's last second, as of now
    ),
    parameters={
        "half_life_0_s": 1.0,
        "half_life_1_s": 5.0,
        "half_life_2_s": 30.0,
        "half_life_3_s": 120.0,
        "needs_sizes": 0.0,
        "needs_leader": 1.0,
        "session_gap_s": _SESSION_GAP_S,
    },
    warm_up_events=_WARM_UP_EVENTS,
)
"""Prices of two instruments, one of which may move first; to be told which before it is used."""

FEATURE_SETS: Final = {each.name: each for each in (TOUCH_V1, QUOTES_V1, DEPTH_V1, LEAD_LAG_V1)}
"""Each as it is before anything is fitted or chosen."""


def feature_set(name: str) -> FeatureSet:
    """Return the feature set of that name, `lead_lag_v1=VENUE:SYMBOL` for one that reads a leader.

    A set with something to fit comes without; see `complete`.

    Raises:
        UsageError: there is none, or a leader where none is read, or none where one is.
    """
    bare, _, leader = name.partition("=")
    if bare not in FEATURE_SETS:
        choices = ", ".join(sorted(FEATURE_SETS))
        raise UsageError(f"feature set: expected one of {choices}, got {name!r}")
    found = FEATURE_SETS[bare]
    if needs_leader(found) != bool(leader):
        expected = f"{bare}=VENUE:SYMBOL, the leader" if needs_leader(found) else f"{bare} alone"
        raise UsageError(f"feature set: expected {expected}, got {name!r}")
    return msgspec.structs.replace(found, leader=leader) if leader else found


def feature_set_of(text: str) -> FeatureSet:
    """Return the set that a command's argument means: a name, or a JSON file of one that was fitted.

    Raises:
        UsageError: neither; or the file's set is not one that this code computes.
    """
    if not text.endswith(".json"):
        return feature_set(text)
    try:
        stated = msgspec.json.decode(Path(text).read_bytes(), type=FeatureSet)
    except OSError as error:
        raise UsageError(f"{text}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise UsageError(f"{text}: feature set: {error}") from None
    return live_feature_set(stated.name, stated)


def live_feature_set(name: str, stated: FeatureSet | None) -> FeatureSet:
    """Return the set as this code computes it, with what `stated` says was fitted or chosen.

    Its hash differs from the stated one's where the code has another idea of the set.

    Args:
        name: of the set.
        stated: in full; None: nothing was fitted or chosen.

    Raises:
        UsageError: there is no such set, or what was fitted is missing or not what the set takes.
    """
    if stated is None:
        return complete(feature_set(name))
    live = feature_set(f"{name}={stated.leader}" if stated.leader else name)
    return complete(msgspec.structs.replace(live, tables=stated.tables, fitted_until_ns=stated.fitted_until_ns))


def complete(features: FeatureSet) -> FeatureSet:
    """Return the set once all that is to be fitted is there.

    Raises:
        UsageError: a table is missing, of another shape, or not finite.
    """
    expected = {MICROPRICE: table_size(features)} if needs_depth(features) else {}
    got = {name: len(table) for name, table in features.tables.items()}
    if got != expected:
        wanted = ", ".join(f"{name} of {size} numbers" for name, size in expected.items()) or "no table"
        fit = ": ringcraft fit-features makes it" if expected and not got else ""
        raise UsageError(f"feature set {features.name}: expected {wanted}, got {got or 'none'}{fit}")
    if not all(math.isfinite(value) for table in features.tables.values() for value in table):
        raise UsageError(f"feature set {features.name}: {MICROPRICE}: expected finite numbers")
    return features


def table_size(features: FeatureSet) -> int:
    """Return how many numbers the microprice's table of the set has."""
    return int(features.parameters["microprice_spreads"] * features.parameters["microprice_bins"])


def needs_sizes(features: FeatureSet) -> bool:
    """Whether the set reads lots, so that a recording without them cannot feed it."""
    return features.parameters["needs_sizes"] == 1.0


def needs_depth(features: FeatureSet) -> bool:
    """Whether the set reads levels, so that a recording has to be read with them."""
    return features.parameters.get("needs_depth") == 1.0


def needs_leader(features: FeatureSet) -> bool:
    """Whether the set reads another instrument's events too."""
    return features.parameters.get("needs_leader") == 1.0


def reads_depth(text: str | None) -> bool:
    """Whether the set that a command's argument means reads levels; None: the default, which does not."""
    return text is not None and needs_depth(feature_set_of(text))


def default_feature_set(recordings: Sequence[Recording]) -> FeatureSet:
    """Return touch_v1 where every recording gives sizes, else quotes_v1."""
    return TOUCH_V1 if all(recording.has_sizes for recording in recordings) else QUOTES_V1
