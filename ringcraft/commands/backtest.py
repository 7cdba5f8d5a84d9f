"""ringcraft backtest."""

from pathlib import Path

import click

from ringcraft.commands.options import json_option, source_options
from ringcraft.terminal import print_json, say


@click.command()
@source_options
@click.option("--version", "folder", type=click.Path(path_type=Path), default=None, help="Folder of a version.")
@click.option("--family", default="logistic", show_default=True, help="Learnt from the first part, without --version.")
@click.option("--learn-share", type=click.FloatRange(0.1, 0.9), default=0.5, show_default=True)
@click.option("--act-share", type=click.FloatRange(0.001, 1), default=0.1, show_default=True, help="Surest decisions.")
@click.option("--horizon-s", type=click.FloatRange(min=0.001), default=5.0, show_default=True, help="Held so long.")
@click.option("--min-interval-s", type=click.FloatRange(min=0), default=0.5, show_default=True)
@click.option("--entry", type=click.Choice(["take", "join"]), default="take", show_default=True)
@click.option("--patience-s", type=click.FloatRange(min=0), default=1.0, show_default=True, help="Of a limit order.")
@click.option("--order-latency-ms", type=click.FloatRange(min=0), default=1.0, show_default=True)
@click.option("--feed-latency-ms", type=click.FloatRange(min=0), default=1.0, show_default=True)
@click.option("--queue", type=click.Choice(["risk_averse", "probability"]), default="risk_averse", show_default=True)
@click.option("--fee-bps", type=click.FloatRange(min=0), default=None, help="Taker's; default: the instrument's.")
@click.option("--maker-fee-bps", type=float, default=None, help="Default: the taker's.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--environment",
    type=click.Path(path_type=Path),
    default=Path("build/envs/hftbacktest"),
    show_default=True,
    help="Made with pip on first use.",
)
@click.option("--work", type=click.Path(path_type=Path), default=Path("build/backtest"), show_default=True)
@json_option
def backtest(
    source: Path,
    format_name: str | None,
    instrument: str | None,
    folder: Path | None,
    family: str,
    learn_share: float,
    act_share: float,
    horizon_s: float,
    min_interval_s: float,
    entry: str,
    patience_s: float,
    order_latency_ms: float,
    feed_latency_ms: float,
    queue: str,
    fee_bps: float | None,
    maker_fee_bps: float | None,
    seed: int,
    environment: Path,
    work: Path,
    as_json: bool,
) -> None:
    """Trade a model's decisions against the recorded depth of SOURCE: queue, latency, fees, one position at a time.

    By hftbacktest, in an environment of its own. Only decisions after what the model learnt from are traded. Beside
    the answer stands what the mark-outs of the same decisions said.
    """
    import msgspec

    from market_data.reading import read_recordings
    from models.backtest.bridge import Terms, run
    from models.backtest.decisions import learnt_decisions, version_decisions
    from models.backtest.environment import python_of
    from models.trading import pnl_bps

    (recording, *more) = read_recordings(source, format=format_name, instrument=instrument, depth=True)
    if more:
        raise click.UsageError(f"{source}: expected one recording, got {1 + len(more)}: name a file")
    python = python_of(environment, on_make=lambda text: click.echo(f"backtest: {text}", err=True))
    latency_ns = round((feed_latency_ms + order_latency_ms) * 1e6)
    when = {"entry_latency_ns": latency_ns, "min_interval_ns": round(min_interval_s * 1e9)}
    if folder is not None:
        decided = version_decisions(recording, folder, **when)
    else:
        decided = learnt_decisions(
            recording,
            family,
            horizon_ns=round(horizon_s * 1e9),
            learn_share=learn_share,
            act_share=act_share,
            seed=seed,
            **when,
        )
    taker = recording.instrument.fee_bps if fee_bps is None else fee_bps
    stated = {
        "entry": entry,
        "hold_ns": round(horizon_s * 1e9) if folder is None else decided.marked.horizon_ns,
        "patience_ns": round(patience_s * 1e9),
        "feed_latency_ns": round(feed_latency_ms * 1e6),
        "order_latency_ns": round(order_latency_ms * 1e6),
        "response_latency_ns": round(order_latency_ms * 1e6),
        "taker_fee_bps": taker,
        "maker_fee_bps": taker if maker_fee_bps is None else maker_fee_bps,
        "queue": queue,
    }
    terms = msgspec.convert(stated, Terms)
    found, _ = run(recording, decided.rows, decided.sides, terms, python=python, work=work.resolve(), seed=seed)
    marked = float(pnl_bps(decided.marked, decided.sides).mean() + recording.instrument.fee_bps)
    if as_json:
        shown = {
            "result": msgspec.to_builtins(found),
            "terms": stated,
            "who": decided.said,
            "markout_no_fee_bps": marked,
        }
        print_json(shown)
        return
    net = found.net_bps
    interval = "" if net.low is None else f" [{net.low:.3g}, {net.high:.3g}]"
    value = "n/a" if net.value is None else f"{net.value:.3g}{interval}"
    say(f"{recording.instrument.symbol}: {decided.said}; {found.program}", indent=0)
    say(f"{found.decisions:,} decisions: {found.traded:,} traded, {found.missed:,} unfilled, {found.busy:,} while busy")
    say(f"a trade, in and out, after fees of {taker:g} bps a side taken: {value} bps; total {found.total_bps:.4g} bps")
    say(f"mark-outs of all these decisions, before fees: {marked:.3g} bps")
