"""ringcraft simulate."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from data_contracts.errors import UsageError
from ringcraft.commands.options import json_option
from ringcraft.exits import DONE
from ringcraft.terminal import out, print_json, table

if TYPE_CHECKING:
    from market_data.tapes.truth import TapeTruth


@click.command()
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option("--tape", "name", default="calm", show_default=True, help="One of --list, or a TOML file of your own.")
@click.option("--list", "listing", is_flag=True, help="Say what tapes there are, and stop.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["itch50", "moldudp64"]),
    default=None,
    help="Default: moldudp64 where the tape is about packets, else itch50.",
)
@click.option("--seconds", type=float, default=None, help="Of event time; default: the tape's.")
@click.option("--messages", type=click.IntRange(min=1), default=None, help="Stop at so many, if that is earlier.")
@click.option("--stocks", type=click.IntRange(1, 1_000), default=1, show_default=True)
@click.option("--activity", type=float, default=None, help="Multiplies every rate of the order flow.")
@json_option
def simulate(
    path: Path | None,
    name: str,
    listing: bool,
    seed: int,
    format_name: Literal["itch50", "moldudp64"] | None,
    seconds: float | None,
    messages: int | None,
    stocks: int,
    activity: float | None,
    as_json: bool,
) -> None:
    """Write a simulated recording to PATH, as real exchange bytes, and what is true of it to PATH.truth.json."""
    import msgspec

    from market_data.tapes.named import TAPES, find_tape
    from market_data.tapes.write import write_tape

    if listing:
        _list(as_json)
        sys.exit(DONE)
    if path is None:
        raise UsageError(f"PATH: expected the file to write, got nothing; tapes: {', '.join(TAPES)}")
    tape = find_tape(name)
    if activity is not None:
        tape = msgspec.structs.replace(tape, flow=msgspec.structs.replace(tape.flow, activity=activity))
    start = time.perf_counter()
    made = write_tape(path, tape, seed=seed, format=format_name, seconds=seconds, messages=messages, stocks=stocks)
    _print(made.truth, path, time.perf_counter() - start, as_json)
    sys.exit(DONE)


def _list(as_json: bool) -> None:
    import msgspec

    from market_data.tapes.named import TAPES

    if as_json:
        print_json({name: msgspec.to_builtins(tape) for name, tape in TAPES.items()})
        return
    rows = [
        (name, "moldudp64" if tape.needs_packets else "itch50", f"{tape.seconds:g}", tape.about)
        for name, tape in TAPES.items()
    ]
    table("Tapes", ("name", "format", "seconds", "what happens"), rows)


def _print(truth: "TapeTruth", path: Path, seconds: float, as_json: bool) -> None:
    edge = truth.stocks[0].edge
    answer = {
        "path": str(path),
        "format": truth.format,
        "messages": truth.messages,
        "messages_per_second": truth.messages / max(seconds, 1e-9),
        "by_type": truth.by_type,
        "sha256": truth.sha256,
        "planted_ticks": edge.planted_ticks,
        "measured_ticks": edge.measured_ticks,
    }
    if as_json:
        print_json(answer)
        return
    out.print(f"{path}: {truth.messages:,} messages, {answer['messages_per_second']:,.0f}/s, sha256 {truth.sha256}")
    out.print(
        f"edge: {edge.planted_ticks:.3g} ticks in {edge.horizon_s:g} s per standard deviation of the signal; "
        f"on this tape {edge.measured_ticks:.3g} ± {edge.standard_error_ticks:.2g}"
    )
    rows = [
        (type(each.what).__name__.lower(), f"{each.what.start_s:g}", each.first_message, each.last_message)
        for each in truth.injected
    ]
    if rows:
        table("What was injected", ("what", "from s", "first message", "last message"), rows)
