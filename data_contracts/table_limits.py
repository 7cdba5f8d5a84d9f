"""Limits of the tables between events and a model: features, labels, training sets; plain data, no library.

What bounds a feature follows from what it is, not from a recording, so that the limits are one with the feature set.
"""

from typing import Final, Literal

from data_contracts.feature_limits import FeatureLimits
from data_contracts.feature_set import FeatureSet
from data_contracts.limits import Rule

Kind = Literal["features", "labels", "training_set"]
KINDS: Final[tuple[Kind, ...]] = ("features", "labels", "training_set")
_SHARES: Final = ("imbalance", "day_sin", "day_cos")
_NOT_NEGATIVE: Final = ("spread", "volatility", "intensity", "log_gap", "log_trade_gap", "log_session", "log_depth")
_LOG_MAX: Final = 64.0
"""A logarithm beyond it is of no count, size or time there is."""
_TICKS_MAX: Final = 1e7
MIN_CLASS_SHARE: Final = 0.001
"""Of every class; a rarer one cannot be learnt."""
_RARE: Final = f"class {{}} in {MIN_CLASS_SHARE:.1%} of the rows or more"


def feature_limits(features: FeatureSet) -> FeatureLimits:
    """Return what each of the d features must lie in, ends included."""
    low, high = zip(*(_bounds(name) for name in features.features), strict=True)
    return FeatureLimits(low=low, high=high)


def rules_of_features(names: tuple[str, ...], limits: FeatureLimits) -> tuple[Rule, ...]:
    """Return one rule a feature: what training refuses by them, serving abstains on by the same limits."""
    return tuple(
        _rule(name, name, low, high, f"{name} within {low:g} to {high:g}")
        for name, low, high in zip(names, limits.low, limits.high, strict=True)
    )


def rules_of_table(kind: Kind, features: FeatureSet, *, min_rows: int = 500) -> tuple[Rule, ...]:
    """Return the rules on one table, in the order a report shows them; row by row, all rows must meet them."""
    rows = _rule("enough_rows", None, min_rows, None, f"at least {min_rows:,} rows")
    ranges = rules_of_features(features.features, feature_limits(features))
    labels = (
        _rule("class", "class", 0, 2, "classes 0 down, 1 flat, 2 up"),
        *(_rule(f"share_of_class_{one}", f"share_{one}", MIN_CLASS_SHARE, 1, _RARE.format(one)) for one in range(3)),
        _rule("buy_pnl", "buy_pnl_bps", -1e4, 1e4, "what buying earned within 10,000 bps"),
        _rule("sell_pnl", "sell_pnl_bps", -1e4, 1e4, "what selling earned within 10,000 bps"),
    )
    times = (
        _rule("time_never_falls", "event_step_ns", 0, None, "event time never falls"),
        _rule("known_after_the_event", "reach_ns", 0, None, "outcomes are known after the decision"),
    )
    by_kind = {"features": ranges, "labels": labels, "training_set": (*times, *ranges, *labels)}
    return rows, *by_kind[kind]


def suite_name(kind: Kind, features: FeatureSet) -> str:
    """Return the suite's name: with the set's hash, so that another version of the set has other suites."""
    return f"{kind}.{features.name}.{features.hash}"


def _bounds(name: str) -> tuple[float, float]:
    if any(word in name for word in _SHARES):
        return -1.0, 1.0
    top = _LOG_MAX if name.startswith("log_") else _TICKS_MAX
    return (0.0 if any(word in name for word in _NOT_NEGATIVE) and "imbalance" not in name else -top), top


def _rule(name: str, column: str | None, low: float | None, high: float | None, says: str) -> Rule:
    return Rule(name=name, column=column, low=low, high=high, mostly=1.0, says=says)
