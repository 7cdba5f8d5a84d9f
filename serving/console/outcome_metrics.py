"""Posted outcomes as Prometheus metrics."""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from serving.console.snapshot import OutcomesSnapshot
from serving.outcomes.cells import Cell

_STANDING: Final = ("unknown", "waiting")
"""They fall again, so they are no counters."""
_SUMS: Final[dict[str, tuple[str, Callable[[Cell], float]]]] = {
    "pnl_trades": ("Decisions with an action.", lambda sums: sums.trades),
    "pnl_paper_trades": ("Trades whose mark-out could be taken.", lambda sums: sums.paper),
    "pnl_paper_bps": ("Sum of mark-outs, after costs.", lambda sums: sums.paper_bps),
    "pnl_realised_trades": ("Trades with a realised outcome in bps.", lambda sums: sums.realised),
    "pnl_realised_bps": ("Sum of realised outcomes, after costs.", lambda sums: sums.realised_bps),
    "pnl_realised_usd": ("Sum of realised outcomes that were posted in USD.", lambda sums: sums.realised_usd),
}


def outcome_metrics(outcomes: OutcomesSnapshot) -> Iterator[Metric]:
    """Yield counts by rule, and PnL by model, version and arm."""
    counter = CounterMetricFamily("ringcraft_outcomes", "Posted outcomes, by rule.", labels=["rule"])
    standing = GaugeMetricFamily("ringcraft_outcomes_standing", "Outcomes that wait, by for what.", labels=["rule"])
    for rule, count in outcomes.counts.items():
        (standing if rule in _STANDING else counter).add_metric([rule], count)
    yield from (counter, standing)
    for name, (text, value) in _SUMS.items():
        gauge = GaugeMetricFamily(f"ringcraft_{name}", text, labels=["model", "version", "arm"])
        for row in outcomes.pnl:
            gauge.add_metric([row.model or "", str(row.version), row.arm or ""], value(row.sums))
        yield gauge
