"""What the demonstration says: what the words mean, how each rollout went, and what the result is worth."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.markup import escape

from data_contracts.manifest import Estimate
from pipelines.request import TrainedVersion
from ringcraft.terminal import moment, words
from serving.console.snapshot import EventSnapshot

LIVE: Final = (
    "A decision is one look at the market by a model: buy one lot, sell one, or do nothing. Decisions are numbered, "
    "and the journal keeps every one with what it earned.",
    "A version under the alias challenger first scores in shadow, then acts on a share of the decisions that grows "
    "step by step. After every decision guardrails ask whether it loses money, time or answers.",
)
KINDS: Final = {
    "honest": "the other trained model",
    "harmful": "trades at random across the spread",
    "slow": "the champion's answers, milliseconds late",
}
_COLOURS: Final = {"rolled_back": "bold red", "promoted": "bold green", "inconclusive": "bold yellow"}


COLUMNS: Final = ("event time, UTC", "decision", "what happened")
WIDTHS: Final = (19, 8)


def event_row(event: EventSnapshot, guardrail: str = "") -> tuple[str, str, str]:
    """Return one happening in COLUMNS: event time, decision number, what, by which guardrail and why."""
    number = f"{event.decision:,}" if event.decision is not None else ""
    what = {"ab": "A/B"}.get(event.kind, words(event.kind))
    colour = _COLOURS.get(event.kind)
    what = f"[{colour}]{what}[/]" if colour else what
    on = f" on {guardrail}" if guardrail else ""
    return moment(event.event_ns), number, f"{what}{on}: {escape(event.text)}"


def market(versions: Sequence[TrainedVersion]) -> str:
    """Say whether anything can be earned on this recording, by the held-out rows."""
    idle = [v.family for v in versions if not v.metrics["trades"].value]
    sure = [v.family for v in versions if _above_zero(v.metrics["net_pnl_bps"])]
    if sure:
        return (
            f"After spread and fees {' and '.join(sure)} earned more than nothing on the held-out rows, with 95 % "
            "confidence. One stretch of one recording: no promise for another."
        )
    if len(idle) == len(versions):
        return (
            "This market is weak: no threshold paid its costs, so the models learnt not to trade. That is a result, "
            "and the safe one; they are served all the same."
        )
    quiet = f" ({', '.join(idle)}: no threshold paid its costs, so it does not trade)" if idle else ""
    return f"This market is weak: no model's PnL after costs is above zero with 95 % confidence{quiet}."


def conclusion(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Say what the three rollouts show."""
    return tuple(_meaning(rollout) for rollout in document["rollouts"])


def _meaning(rollout: Mapping[str, Any]) -> str:
    version, verdict, at = rollout["version"], rollout["verdict"], _at(rollout["decision"])
    if rollout["kind"] != "honest":
        if verdict != "rolled_back":
            return f"Version {version} ({rollout['kind']}) was not taken off: {words(verdict)}."
        return (
            f"Version {version}, {_WRONG[rollout['kind']]}, came off by itself{at}, on {words(rollout['guardrail'])}."
        )
    if verdict == "promoted":
        return f"Version {version} held its own against the champion and took its place{at}."
    if verdict == "inconclusive":
        return (
            f"Version {version} was neither so bad that a guardrail acted nor provably as good as the champion in the "
            "decisions it was given, so the champion stays. Where two models earn about the same, that is right."
        )
    on = words(rollout["guardrail"])
    return f"Version {version} was honest and did worse than the champion all the same: off{at}, on {on}."


_WRONG: Final = {"harmful": "which trades at random", "slow": "which answers late"}


def _at(decision: int | None) -> str:
    return "" if decision is None else f" at decision {decision:,}"


def _above_zero(estimate: Estimate) -> bool:
    return estimate.low is not None and estimate.low > 0
