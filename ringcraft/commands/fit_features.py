"""ringcraft fit-features."""

from pathlib import Path

import click
import msgspec

from ringcraft.commands.options import json_option, source_options
from ringcraft.terminal import print_json


@click.command("fit-features")
@source_options
@click.option("--feature-set", "set_name", default="depth_v1", show_default=True, help="A set with something to fit.")
@click.option("--share", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True, help="Of events.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="JSON file: the fitted set.")
@json_option
def fit_features(
    source: Path,
    format_name: str | None,
    instrument: str | None,
    set_name: str,
    share: float,
    out: Path,
    as_json: bool,
) -> None:
    """Fit a feature set on the recording SOURCE: of depth_v1, Stoikov's microprice.

    The file is then given wherever a feature set is asked for. Fit on what comes before the events that models learn
    from and are judged on, --share of the first for example: `ringcraft train` leaves out what the fit has seen.
    """
    from market_data import microprice
    from market_data.feature_sets import feature_set
    from market_data.reading import read_recordings
    from market_data.recordings import first_share

    recordings = first_share(read_recordings(source, format=format_name, instrument=instrument), share)
    fitted = microprice.fit(recordings, feature_set(set_name))
    part = out.with_name(f".{out.name}.part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(fitted), indent=2))
    part.replace(out)
    events = sum(len(recording) for recording in recordings)
    if as_json:
        print_json({"feature_set": fitted.name, "hash": fitted.hash, "events": events, "file": str(out)})
    else:
        click.echo(f"{fitted.name} {fitted.hash}, fitted on {events:,} events: {out}")
