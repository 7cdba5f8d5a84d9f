"""ringcraft bench."""

import importlib
import shlex
import sys
from typing import Any, Final

import click

from ringcraft.commands.options import json_option
from ringcraft.exits import NOT_SO
from ringcraft.terminal import err, out, print_json, table

BENCHES: Final = {
    "feed": "feed messages a second: decoding against a memory scan, books against itch-book; packets; a long day",
    "features": "feature vectors a second, native against the numpy reference",
    "transport": "rings against a locked queue, the shared bus against a socket pair and ZeroMQ, recvmmsg",
    "train": "events to a matrix, XGBoost through the family, a flow run over its steps, compression: against goals",
    "reaction": "seconds from an alias moved in MLflow to its version in shadow",
    "engine": "one row through our kernels against ONNX Runtime's C API, and PyTorch for nets of the book",
    "shared": "a round trip through the shared-memory door beyond the model's own time, against the goal",
    "serve": "the doors under load: REST against a bare echo and other people's servers; swaps, shadows, a soak, cost",
    "rollouts": "rollouts on a live tier against what they must show; minutes, with --experiment one of them",
    "guardrails": "equal versions taken off, and how long bad ones last, against the goals",
}
SERVE_PARTS: Final = ("door", "peers", "swaps", "shadow", "ticks", "soak", "cost")
SERVE_PEERS: Final = ("granian", "mlserver", "bentoml", "litserve", "ray", "mlflow")
_SPELT: Final = {"experiments": "experiment", "parts": "part", "peers": "peer"}
_OF: Final = {
    "experiments": "rollouts",
    "seeds": "rollouts",
    "deployments": "guardrails",
    "effects": "guardrails",
    "seed": "guardrails",
    "messages": "feed",
    "parts": "serve",
    "peers": "serve",
    "seconds": "serve",
    "connections": "serve",
    "realtime": "serve",
    "decisions": "serve",
}


@click.command(epilog="Names: " + "; ".join(f"{name}: {about}" for name, about in BENCHES.items()) + ".")
@click.argument("name", type=click.Choice(tuple(BENCHES)))
@click.option("--experiment", "experiments", multiple=True, help="Of rollouts: this one; may be given again.")
@click.option("--seeds", type=click.IntRange(min=1), help="Of rollouts: runs of each. Default: 10.")
@click.option("--deployments", type=click.IntRange(min=1), help="Of guardrails: equal versions. Default: 1000.")
@click.option("--effects", type=click.IntRange(min=1), help="Of guardrails: of each bad version. Default: 300.")
@click.option("--seed", type=click.IntRange(min=0), help="Of guardrails: of every series. Default: 1.")
@click.option("--messages", type=click.IntRange(min=1000), help="Of feed: of the long day. Default: 100,000,000.")
@click.option(
    "--part", "parts", multiple=True, type=click.Choice(SERVE_PARTS), help="Of serve: this one; may be given again."
)
@click.option(
    "--peer", "peers", multiple=True, type=click.Choice(SERVE_PEERS), help="Of serve: this one; may be given again."
)
@click.option("--seconds", type=click.FloatRange(min=0.05), help="Of serve: each load. Default: 2; in real time 0.5.")
@click.option("--connections", type=click.IntRange(min=1), help="Of serve: kept alive. Default: 16.")
@click.option("--decisions", type=click.IntRange(min=1), help="Of serve: of the soak. Default: 10,000,000.")
@click.option(
    "--realtime", is_flag=True, default=None, help="Of serve: servers and load before all else on the machine."
)
@json_option
def bench(name: str, as_json: bool, **options: Any) -> None:  # noqa: ANN401  each benchmark has its own
    """Measure NAME against a peer, or a goal, in the same run: medians, the ratio, and its spread.

    Exit code 1: a goal is not met.
    """
    from benchmarks.report import machine

    given = {option: value for option, value in options.items() if value not in (None, ())}
    for option in given:
        if _OF[option] != name:
            raise click.UsageError(f"--{_SPELT.get(option, option)}: goes with {_OF[option]}, got {name}")
    if name == "guardrails":
        rows = _judge_guardrails(given, quiet=as_json)
    else:
        sizes = {"experiments": (), "seeds": 10, **given} if name == "rollouts" else given
        with err.status(f"measuring {BENCHES[name]}"):
            rows = importlib.import_module(f"benchmarks.{name}").run(**sizes)
    command = shlex.join(["ringcraft", *sys.argv[1:]])
    if as_json:
        print_json({"machine": machine(), "command": command, "ratios": rows})
    else:
        if name != "guardrails":
            _show(name, rows)
        out.print(machine())
    if not all(row.get("met", True) or not row.get("decides", True) for row in rows):
        sys.exit(NOT_SO)


def _judge_guardrails(sizes: dict[str, int], *, quiet: bool) -> list[dict[str, Any]]:
    from benchmarks.guardrails import DEPLOYMENTS, EFFECTS, SEED, Check, as_row, judge

    def tell(check: Check) -> None:
        verdict = ("PASS" if check.met else "FAIL") + ("" if check.decides else " (reported, does not decide)")
        out.print(f"{check.name:<78} {check.measured:9.3f} {check.unit:<2} goal <= {check.goal:<6g} {verdict}")

    with err.status(f"measuring {BENCHES['guardrails']}"):
        checks = judge(
            sizes.get("deployments", DEPLOYMENTS),
            sizes.get("effects", EFFECTS),
            sizes.get("seed", SEED),
            tell=(lambda _: None) if quiet else tell,
        )
    return [as_row(check) for check in checks]


def _show(name: str, rows: list[dict[str, Any]]) -> None:
    columns = ("what", "ours", "peer", "unit", "times better", "from", "to", "peer is")
    cells = [
        (r["name"], r["ours"], r["peer"], r["unit"], r["ratio"], r["low"], r["high"], r["peer_name"]) for r in rows
    ]
    table(f"{name}: {BENCHES[name]}", columns, cells)
