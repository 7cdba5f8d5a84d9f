"""What a model's figures come to, in plain words: rules over the figures, so that no one has to find it out alone."""

from collections.abc import Mapping
from typing import Final

from data_contracts.manifest import Estimate
from models.labels import LabelReport

Metrics = Mapping[str, Estimate]

BELIEVED: Final = 0.95
"""Probability that the true Sharpe ratio is above 0, from which on it is called a finding."""
_SMALL_SHARE: Final = 0.5
_EXCELLENT: Final = 0.65
"""Share of moves called right that would make anyone look twice."""
_TRADES: Final = 30
"""Fewer are anecdotes."""


def findings(found: Metrics, baselines: Mapping[str, Metrics], labels: LabelReport | None = None) -> tuple[str, ...]:
    """Return the sentences that the figures call for, the gravest first; at least one.

    Args:
        found: of models.evaluation.evaluate, on rows not learnt from.
        baselines: the same by baseline's name, on the same rows.
        labels: what the labels looked like.
    """
    said = [_skill(found), _worth(found), _beaten(found, baselines), _luck(found), _round_trip(found)]
    if labels is not None and labels.share_labels_paying < _SMALL_SHARE:
        said.append(
            f"Only {labels.share_labels_paying:.1%} of the moves labelled up or down pay the spread and fees: "
            "naming them right is not yet earning anything."
        )
    return tuple(sentence for sentence in said if sentence)


def predicts(found: Metrics) -> bool:
    """Whether the signal says where the price goes: the interval of the information coefficient above 0."""
    return _above(found["information_coefficient"])


def finds_anything(found: Metrics) -> bool:
    """Whether anything at all is said of the label, if only when the price moves: what no control may do."""
    return _above(found["mcc"]) or predicts(found)


def worthless_though_right(found: Metrics) -> bool:
    """Whether it predicts, and its strongest signals lose money all the same."""
    return predicts(found) and _below(found["strong_net_bps"])


def _skill(found: Metrics) -> str | None:
    if predicts(found):
        return None
    mcc, ic = _text(found["mcc"]), _text(found["information_coefficient"])
    if _above(found["mcc"]):
        return f"Predicts when the price moves, not where to: MCC {mcc}, information coefficient {ic}."
    return f"Predicts nothing that can be told from guessing: MCC {mcc}, information coefficient {ic}."


def _worth(found: Metrics) -> str | None:
    move, cost, net = (found[f"strong_{name}_bps"] for name in ("move", "cost", "net"))
    hit = found["strong_hit_rate"].value
    if move.value is None or cost.value is None or hit is None:
        return "Says the same of every row: there is no signal to trade on."
    figures = (
        f"on the tenth of the decisions it is surest of, the price goes its way in {hit:.0%} of the moves, on average "
        f"by {move.value:.3g} bps; spread, fees and latency take {cost.value:.3g} bps, which leaves {_text(net)}"
    )
    if worthless_though_right(found):
        looks = "Looks excellent" if hit >= _EXCELLENT else "Predicts better than chance"
        return f"{looks} and is worth nothing after costs: {figures}."
    if _above(net):
        return f"Its surest calls pay: {figures}."
    return f"Its surest calls cannot be shown to pay: {figures}." if predicts(found) else None


def _beaten(found: Metrics, baselines: Mapping[str, Metrics]) -> str | None:
    value = found["information_coefficient"].value
    better = [
        f"{name} ({_text(each['information_coefficient'])})"
        for name, each in baselines.items()
        if value is not None and (each["information_coefficient"].value or 0.0) >= value
    ]
    if not better:
        return None
    own = _text(found["information_coefficient"])
    return f"Simpler rules predict the move as well (information coefficient {own}): {', '.join(better)}."


def _luck(found: Metrics) -> str | None:
    trades, deflated, tried = found["trades"].value or 0.0, found["deflated_sharpe"].value, found["trials"].value or 1.0
    if not trades:
        return "Makes no trade: no threshold paid its costs on earlier data."
    if trades < _TRADES:
        return f"Makes {trades:.0f} trades: too few to say anything about what they earn."
    if _below(found["net_pnl_bps"]):
        return f"Its trades lose: {_text(found['net_pnl_bps'])} bps a decision."
    if not _above(found["net_pnl_bps"]):
        return f"Its trades cannot be shown to earn anything: {_text(found['net_pnl_bps'])} bps a decision."
    if deflated is None or deflated < BELIEVED:
        shown = "cannot be measured" if deflated is None else f"is {deflated:.2f}, short of {BELIEVED:g}"
        return f"After {tried:.0f} trials its profit may be luck: the deflated Sharpe ratio {shown}."
    return f"Its profit outlives {tried:.0f} trials: the deflated Sharpe ratio is {deflated:.2f}."


def _round_trip(found: Metrics) -> str | None:
    if _above(found["net_pnl_per_trade_bps"]) and not _above(found["round_trip_per_trade_bps"]):
        left = _text(found["round_trip_per_trade_bps"])
        return f"What it earns it earns at mid: left at the touch, a trade comes to {left} bps."
    return None


def _above(estimate: Estimate) -> bool:
    return estimate.low is not None and estimate.low > 0


def _below(estimate: Estimate) -> bool:
    return estimate.high is not None and estimate.high < 0


def _text(estimate: Estimate) -> str:
    if estimate.value is None:
        return "n/a"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3g}"
    return f"{estimate.value:.3g} [{estimate.low:.3g}, {estimate.high:.3g}]"
