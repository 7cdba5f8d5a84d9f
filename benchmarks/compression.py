"""What compression makes of each family on a recording: `python -m benchmarks.compression SOURCE --family lstm`.

Every family is fitted as its default stands, nothing tuned, then compressed as the training flow does it, and a row of
docs/compression.md's table is printed. Exit code 1: a family has no form that qualifies.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import click

from data_contracts.manifest import Compression
from models.families import family
from models.families.port import Target
from models.fitting import fit_on
from models.trading import NEVER
from pipelines.request import TrainRequest
from pipelines.steps.compress import compress
from pipelines.steps.contract import read
from pipelines.steps.dataset import Prepared, prepare
from pipelines.steps.fit import FittedFamily

FAMILIES = ("xgboost", "mlp", "lstm", "binctabl")
_HEAD = (
    "| recording | family | original, bytes | published, bytes | of the original | difference, 95 % | margin "
    "| p50 before | p50 after | how |"
)


@dataclass(frozen=True)
class Outcome:
    """One family's compression and the rows that it learnt from and was confirmed on."""

    family: str
    report: Compression
    learnt_rows: int
    held_out_rows: int


def prepared(
    source: Path, *, format_name: str | None, instrument: str | None, horizon_s: float, rows: int, window: int = 32
) -> Prepared:
    """Return at most `rows` of the newest rows of the first two recordings in `source`, split as the flow does."""
    request = TrainRequest(model="compression", horizon_ns=round(horizon_s * 1e9), max_rows=rows, window=window)
    return prepare(read(source, format=format_name, instrument=instrument)[:2], request)


def outcome(name: str, given: Prepared, *, seed: int = 1, target: Target = "direction") -> Outcome:
    """Return what compression makes of the family `name`, fitted as its default stands."""
    kind = family(name)
    seen = given.seen_through(kind.window)
    model = fit_on(kind, seen.learn, kind.default(), seed, target)
    fitted = FittedFamily(
        family=name, config=kind.default(), model=model, threshold=NEVER, cut=0.0, walk_forward={}, notes=()
    )
    report = compress(fitted, seen, seed=seed).report
    if report is None:
        raise click.UsageError(f"family {name}: has no smaller form")
    return Outcome(name, report, len(seen.learn), len(seen.held_out))


def row(recording: str, found: Outcome) -> str:
    """Return a line of the table."""
    done = found.report
    before, after = (f"{each.p50_us:.2f} µs" if each else "-" for each in (done.original_latency, done.latency))
    low, high = done.difference_low, done.difference_high
    how = "; ".join(done.steps) or "nothing qualified: published as it was"
    return (
        f"| {recording} | {found.family} | {done.original_bytes:,} | {done.compressed_bytes:,} "
        f"| {done.compressed_bytes / done.original_bytes:.1%} | {low:+.5f} to {high:+.5f} | {done.margin:.4g} "
        f"| {before} | {after} | {how} |"
    )


@click.command()
@click.argument("source", type=click.Path(path_type=Path, exists=True))
@click.option("--format", "format_name", default=None, help="As `ringcraft train` takes it.")
@click.option("--instrument", default=None, help="Likewise.")
@click.option("--horizon-s", type=float, default=2.0, show_default=True)
@click.option("--rows", type=click.IntRange(min=2000), default=60_000, show_default=True, help="The newest so many.")
@click.option("--target", type=click.Choice(["direction", "move"]), default="direction", show_default=True)
@click.option("--family", "families", multiple=True, help=f"Default: {', '.join(FAMILIES)}.")
def main(
    source: Path,
    format_name: str | None,
    instrument: str | None,
    horizon_s: float,
    rows: int,
    target: Target,
    families: tuple[str, ...],
) -> None:
    """Compress every family on SOURCE and print the table."""
    given = prepared(source, format_name=format_name, instrument=instrument, horizon_s=horizon_s, rows=rows)
    print(_HEAD + "\n" + "|---" * (_HEAD.count("|") - 1) + "|")
    met = True
    for name in families or FAMILIES:
        found = outcome(name, given, target=target)
        met = met and found.report.not_inferior
        print(row(source.name, found), flush=True)
    print(f"\n{len(given.learn):,} rows learnt from, {len(given.held_out):,} held out.")
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
