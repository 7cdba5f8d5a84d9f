"""ringcraft status."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from data_contracts.settings import load_settings
from ringcraft.commands.options import config_option, json_option
from ringcraft.console_client import console_of, read_snapshot
from ringcraft.exits import NOT_SO
from ringcraft.terminal import moment, out, print_json, say, table, words
from serving.console.snapshot import ArmSnapshot, EventSnapshot, ModelSnapshot, RolloutSnapshot, Snapshot
from serving.outcomes.reconciliation import Reading


@click.command()
@config_option
@json_option
def status(config: Path | None, as_json: bool) -> None:
    """Show what is serving, how its rollouts stand, and what happened.

    Exit code 1: it runs but is not ready; 3: nothing runs.
    """
    snapshot = read_snapshot(console_of(load_settings(config)))
    if as_json:
        print_json(msgspec.to_builtins(snapshot))
    else:
        show(snapshot)
    if not snapshot.ready:
        sys.exit(NOT_SO)


def show(snapshot: Snapshot) -> None:
    """Print the snapshot for a person."""
    reach = "reachable" if snapshot.mlflow_reachable else "not reachable"
    out.print(f"{'ready' if snapshot.ready else 'not ready'}; MLflow {snapshot.mlflow_uri} {reach}")
    for worker in snapshot.workers:
        counts = ", ".join(f"{words(name)} {count:,}" for name, count in sorted(worker.counters.items()) if count)
        ports = "".join(f", {words(name)} {port}" for name, port in worker.doors.items())
        alive = "alive" if worker.alive else "gone"
        say(f"{worker.name}: {alive}; feed port {worker.feed_port}{ports}; {counts}", indent=0)
    for model in snapshot.models:
        compared = snapshot.outcomes.reconciliation if snapshot.outcomes is not None else ()
        _show_model(model, [one for one in compared if one.model == model.model])
    out.print("last events, by event time in UTC:")
    for event in snapshot.events[-10:]:
        out.print(f"  {moment(event.event_ns)}  {_what(event)}: {event.text}", markup=False)


def _what(event: EventSnapshot) -> str:
    whose = f" {event.model} v{event.version}" if event.version is not None else ""
    at = f" at decision {event.decision:,}" if event.decision is not None else ""
    return f"{words(event.kind)}{whose}{at}"


def _status(arm: ArmSnapshot) -> str:
    return words(arm.status) if arm.breaker == "closed" else f"{words(arm.status)}, breaker {words(arm.breaker)}"


def _show_model(model: ModelSnapshot, compared: Sequence[Reading]) -> None:
    columns = (
        "arm",
        "version",
        "family",
        "status",
        "share",
        "decisions",
        "trades",
        "PnL bps",
        "paper bps",
        "p50 us",
        "p99 us",
        "engine",
    )
    rows = [
        (a.arm, a.version, words(a.family), _status(a), f"{a.share:.0%}", a.decisions, a.trades,
         f"{a.pnl_bps:+,.1f}", f"{a.paper_pnl_bps:+,.1f}", a.latency_p50_us, a.latency_p99_us, a.tier)
        for a in model.arms
    ]  # fmt: skip
    table(model.model, columns, rows)
    rollout = model.rollout
    if rollout is not None:
        say(f"rollout {rollout.rollout_id} of version {rollout.version}: {_standing(rollout)}", indent=0)
        for alarm in rollout.watches if not rollout.verdict else ():
            if alarm.raised:
                say(f"ALARM {words(alarm.name)} since decision {alarm.since_decision:,}: {alarm.text}")
    for one in compared:
        if one.raised:
            since = f"{one.since_decision:,}"
            say(f"ALARM reconciliation of version {one.version} since decision {since}: {one.text}", indent=0)
    _show_divergence(model)


def _show_divergence(model: ModelSnapshot) -> None:
    for one in model.divergence:
        if one.instrument or not one.count:
            continue
        apart = "" if one.mean_difference is None else f", outputs {one.mean_difference:.3g} {one.unit} apart".rstrip()
        ranks = "" if one.rank_correlation is None else f", rank correlation {one.rank_correlation:.2f}"
        say(
            f"version {one.version} against champion {one.against}: acts differently on {one.disagreement:.1%} of "
            f"{one.count:,} decisions{apart}{ranks}; {one.dropped:,} dropped",
            indent=0,
        )


def _standing(rollout: RolloutSnapshot) -> str:
    if not rollout.verdict:
        judged = f"{rollout.folded_in_step:,} decisions in this step, {rollout.needed_in_step:,} needed"
        return f"{words(rollout.state)}, {judged}; {rollout.folded:,} judged in all"
    on = f" on {words(rollout.guardrail)}" if rollout.guardrail else ""
    at = f" at decision {rollout.decision:,}" if rollout.decision is not None else ""
    return f"{words(rollout.verdict)}{on}{at}: {rollout.reason}"
