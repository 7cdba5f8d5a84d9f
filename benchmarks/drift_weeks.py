"""Which weeks of a history of bars were louder or calmer than the year before them, and how often in quiet years."""

from pathlib import Path
from typing import Final

import click

from data_contracts.recording import Recording
from market_data.reading import read_recordings
from models.drift import DriftResult
from models.drift_weeks import week_drift, weekly_loudness

ALPHA: Final = 0.01
BREAK_YEARS: Final = ("2008", "2011", "2013", "2015", "2016")
"""Those for which the histories' own description names a break; all others are called quiet, whatever is found."""


def weeks(recording: Recording) -> tuple[DriftResult, ...]:
    """Return every week's test, named by its Monday."""
    return week_drift(*weekly_loudness(recording), alpha=ALPHA)


def quiet(found: tuple[DriftResult, ...]) -> tuple[int, int]:
    """Return alarms and weeks of the quiet years."""
    asked = [each for each in found if each.column[:4] not in BREAK_YEARS]
    return sum(each.drifted for each in asked), len(asked)


@click.command()
@click.argument("bars", type=click.Path(path_type=Path, exists=True))
@click.option("--format", "named", default="csv", show_default=True, help="csv=MAP.toml: columns by a map.")
def main(bars: Path, named: str) -> None:
    """Print the alarms of BARS, a file or a zipped one."""
    for recording in read_recordings(bars, format=named):
        found = weeks(recording)
        loud = [each for each in found if each.drifted]
        print(f"{recording.instrument.symbol}: {len(loud)} of {len(found)} weeks at {ALPHA:.0%}")
        for each in loud:
            print(f"  week of {each.column}: change of the logarithm {each.value:.2f}, p {each.p_value:.2g}")
        print("  in all years but {}: {} of {}".format(", ".join(BREAK_YEARS), *quiet(found)))


if __name__ == "__main__":
    main()
