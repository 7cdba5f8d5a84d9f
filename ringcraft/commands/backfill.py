"""ringcraft backfill."""

from pathlib import Path

import click
import msgspec

from ringcraft.commands.options import json_option
from ringcraft.terminal import print_json


@click.command()
@click.argument("archive", type=click.Path(path_type=Path))
@click.option(
    "--feature-set", "set_name", required=True, help="A name, lead_lag_v1=VENUE:SYMBOL, or a fitted set's file."
)
@click.option("--instrument", default=None, help="VENUE:SYMBOL; default: all but the set's leader.")
@click.option("--leader", type=click.Path(path_type=Path), default=None, help="Source of the leader; default: ARCHIVE.")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Default: ARCHIVE/features.")
@json_option
def backfill(
    archive: Path, set_name: str, instrument: str | None, leader: Path | None, out: Path | None, as_json: bool
) -> None:
    """Compute a new or changed feature set over ARCHIVE, the folder that `ringcraft ingest` fills.

    Recordings whose features are there already, with the same hash, are passed over, so that it can be ended and run
    again at any time; those of another hash are replaced.
    """
    from market_data.backfill import Backfilled
    from market_data.backfill import backfill as run
    from market_data.feature_sets import feature_set_of

    def tell(one: Backfilled) -> None:
        if not as_json:
            click.echo(f"{one.path}: {f'{one.events:,} events' if one.made else 'there already'}")

    features = feature_set_of(set_name)
    folder = out or archive / "features"
    done = run(archive, features, folder, instrument=instrument, leader=leader, on_file=tell)
    if as_json:
        files = [msgspec.to_builtins(one) for one in done]
        print_json({"feature_set": features.title, "hash": features.hash, "out": str(folder), "files": files})
