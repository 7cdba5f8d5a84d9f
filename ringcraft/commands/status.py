"""ringcraft status."""

import sys
from pathlib import Path

import click
import msgspec

from data_contracts.settings import load_settings
from ringcraft.commands.options import config_option, json_option
from ringcraft.console_client import console_url, read_snapshot
from ringcraft.exits import NOT_SO
from ringcraft.terminal import out, print_json, table
from serving.console.snapshot import ModelSnapshot, Snapshot


@click.command()
@config_option
@json_option
def status(config: Path | None, as_json: bool) -> None:
    """Show what is serving, how its rollouts stand, and what happened.

    Exit code 1: it runs but is not ready; 3: nothing runs.
    """
    snapshot = read_snapshot(console_url(load_settings(config)))
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
        counts = ", ".join(f"{name} {count:,}" for name, count in sorted(worker.counters.items()) if count)
        out.print(f"{worker.name}: {'alive' if worker.alive else 'dead'}; feed port {worker.feed_port}; {counts}")
    for model in snapshot.models:
        _show_model(model)
    for event in snapshot.events[-10:]:
        at = f" at decision {event.decision}" if event.decision is not None else ""
        out.print(f"  {event.kind} {event.model} v{event.version}{at}: {event.text}")


def _show_model(model: ModelSnapshot) -> None:
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
    )
    rows = [
        (a.arm, a.version, a.family, a.status, f"{a.share:.0%}", a.decisions, a.trades, a.pnl_bps, a.paper_pnl_bps,
         a.latency_p50_us, a.latency_p99_us)
        for a in model.arms
    ]  # fmt: skip
    table(model.model, columns, rows)
    rollout = model.rollout
    if rollout is not None:
        state = rollout.verdict or f"{rollout.state}, {rollout.folded_in_step} of {rollout.needed_in_step} decisions"
        out.print(f"rollout {rollout.rollout_id} of version {rollout.version}: {state} {rollout.reason}".rstrip())
