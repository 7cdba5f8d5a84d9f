"""ringcraft bench."""

import importlib
import shlex
import sys
from typing import Any, Final

import click

from ringcraft.commands.options import json_option
from ringcraft.terminal import err, out, print_json, table

BENCHES: Final = {
    "features": "feature vectors a second, native against the numpy reference",
    "reaction": "seconds from an alias moved in MLflow to its version in shadow",
    "inference": "one row through ONNX Runtime's C API against its Python session",
    "rollouts": "rollouts on a live tier against what they must show; minutes, with --experiment one of them",
}


@click.command(epilog="Names: " + "; ".join(f"{name}: {about}" for name, about in BENCHES.items()) + ".")
@click.argument("name", type=click.Choice(tuple(BENCHES)))
@click.option("--experiment", "experiments", multiple=True, help="Of rollouts: this one; may be given again.")
@click.option("--seeds", type=click.IntRange(min=1), default=10, show_default=True, help="Of rollouts: runs of each.")
@json_option
def bench(name: str, experiments: tuple[str, ...], seeds: int, as_json: bool) -> None:
    """Measure NAME against a peer, or a goal, in the same run: medians, the ratio, and its spread."""
    from benchmarks.report import machine

    options = {"experiments": experiments, "seeds": seeds} if name == "rollouts" else {}

    with err.status(f"measuring {BENCHES[name]}"):
        rows: list[dict[str, Any]] = importlib.import_module(f"benchmarks.{name}").run(**options)
    document = {"machine": machine(), "command": shlex.join(["ringcraft", *sys.argv[1:]]), "ratios": rows}
    if as_json:
        print_json(document)
        return
    columns = ("what", "ours", "peer", "unit", "times better", "from", "to", "peer is")
    cells = [
        (r["name"], r["ours"], r["peer"], r["unit"], r["ratio"], r["low"], r["high"], r["peer_name"]) for r in rows
    ]
    table(f"{name}: {BENCHES[name]}", columns, cells)
    out.print(document["machine"])
