"""ringcraft evaluate."""

import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ringcraft.commands.label_options import KINDS, label_of
from ringcraft.commands.options import format_option, json_option
from ringcraft.terminal import print_json, progress, say

if TYPE_CHECKING:
    from data_contracts.recording import Recording
    from models.families.port import Target
    from models.labels import LabelConfig
    from models.studies import Section


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@format_option
@click.option("--family", "families", multiple=True, help="Repeat for more. Default: logistic, xgboost, mlp.")
@click.option("--seed", "seeds", type=int, multiple=True, help="Repeat for more. Default: 1, 2, 3.")
@click.option(
    "--horizon-s",
    "horizons_s",
    type=click.FloatRange(min=0.001),
    multiple=True,
    help="Label horizon; repeat for more. Default: 10, 60.",
)
@click.option(
    "--horizon-events",
    "horizons_events",
    type=click.IntRange(min=1),
    multiple=True,
    help="A horizon in events, at which every move counts unless --label-bps says otherwise; repeat for more.",
)
@click.option(
    "--target",
    type=click.Choice(["direction", "move"]),
    default="direction",
    show_default=True,
    help="Taught where a family can learn either: the class, or the expected move in bps.",
)
@click.option("--label", "label_kind", type=click.Choice(KINDS), default="mid_move", show_default=True)
@click.option("--label-bps", type=click.FloatRange(min=0), default=None, help="Default: half the median spread.")
@click.option("--label-spreads", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True)
@click.option("--interval-s", type=click.FloatRange(min=0), default=5.0, show_default=True, help="Between decisions.")
@click.option("--latency-ms", type=click.FloatRange(min=0), default=50.0, show_default=True, help="Decision to entry.")
@click.option("--fee-bps", type=click.FloatRange(min=0), default=None, help="Default: the instrument's.")
@click.option("--first-days", type=click.IntRange(min=1), default=2, show_default=True, help="Learnt from only.")
@click.option("--trials", type=click.IntRange(min=1), default=6, show_default=True, help="Optuna trials a family.")
@click.option("--feature-set", default=None, help="Default: touch_v1 where there are sizes, else quotes_v1.")
@click.option("--min-day-rows", type=click.IntRange(min=1), default=500, show_default=True, help="A day is tested.")
@click.option("--report", type=click.Path(path_type=Path), default=None, help="Markdown page to write.")
@json_option
def evaluate(
    sources: tuple[Path, ...],
    format_name: str | None,
    families: tuple[str, ...],
    seeds: tuple[int, ...],
    horizons_s: tuple[float, ...],
    horizons_events: tuple[int, ...],
    target: "Target",
    label_kind: str,
    label_bps: float | None,
    label_spreads: float,
    interval_s: float,
    latency_ms: float,
    fee_bps: float | None,
    first_days: int,
    trials: int,
    feature_set: str | None,
    min_day_rows: int,
    report: Path | None,
    as_json: bool,
) -> None:
    """Hold families of models to the recordings in SOURCES: walk-forward by day, with costs, seeds and controls.

    Every source is a recording or a folder of several instruments' recordings, each of several days. Nothing is
    published. What the figures come to is printed in words, and written as a page with --report.
    """
    import msgspec

    from models.controls import found_something
    from models.studies import Setting, make_sections
    from models.study_report import write_report

    families = families or ("logistic", "xgboost", "mlp")
    setting = Setting(
        command=_typed(sources),
        families=families,
        seeds=seeds or (1, 2, 3),
        first_days=first_days,
        latency_ms=latency_ms,
        interval_s=interval_s,
        tuning_trials=trials,
        feature_set=feature_set,
        min_day_rows=min_day_rows,
        target=target,
    )
    every_move = 0.0 if label_bps is None else label_bps
    labels: list[tuple[LabelConfig, float]] = [
        (label_of(label_kind, every_move, label_spreads, events), 0.0) for events in horizons_events
    ]
    horizons_s = horizons_s or (() if horizons_events else (10.0, 60.0))
    labels += [(label_of(label_kind, label_bps, label_spreads, None), horizon) for horizon in horizons_s]
    sections: list[Section] = []
    with progress() as bars:
        bar = bars.add_task("evaluating", total=None, note="")
        for days in _instruments(sources, format_name, feature_set):
            if fee_bps is not None:
                days = [
                    replace(day, instrument=msgspec.structs.replace(day.instrument, fee_bps=fee_bps)) for day in days
                ]

            def on_step(text: str, of: str = days[0].instrument.symbol) -> None:
                bars.update(bar, note=f"{of}: {text}")

            for section in make_sections(days, labels, setting, on_step):
                sections.append(section)
                if report is not None:  # after each, so that a long run that is ended leaves what was done
                    report.write_text(write_report("What the models are worth after costs", setting, sections))
    if as_json:
        leaks = found_something([section.study.control for section in sections])
        print_json([_plain(section, found) for section, found in zip(sections, leaks, strict=True)])
        return
    for section in sections:
        say(f"[bold]{section.instrument}, {section.title}[/]", indent=0)
        for result in section.study.results:
            say(f"{result.name}: {' '.join(result.findings)}")
    if report is not None:
        say(f"Written: {report}", indent=0)


def _typed(sources: tuple[Path, ...]) -> str:
    # Where the data lies is nobody else's business: the folder's name says which it was.
    said = {str(source): f"DATA/{source.resolve().name}" for source in sources}
    return shlex.join(["ringcraft", *(said.get(word, word) for word in sys.argv[1:])])


def _instruments(
    sources: tuple[Path, ...], format_name: str | None, feature_set: str | None
) -> Iterator[list["Recording"]]:
    from data_contracts.errors import InstrumentChoiceError
    from market_data.feature_sets import reads_depth
    from market_data.reading import read_recordings

    depth = reads_depth(feature_set)
    for source in sources:
        try:
            yield list(read_recordings(source, format=format_name, instrument=None, depth=depth))
        except InstrumentChoiceError as error:
            for symbol in error.choices:
                yield list(read_recordings(source, format=format_name, instrument=symbol, depth=depth))


def _plain(section: "Section", leaks: bool) -> dict[str, object]:
    import msgspec

    study = section.study
    return {
        "instrument": section.instrument,
        "label": section.title,
        "rows_tested": len(study.tested),
        "trials": study.trials,
        "labels": msgspec.to_builtins(study.labels),
        "results": [
            {
                "name": result.name,
                "metrics": msgspec.to_builtins(result.metrics),
                "by_seed": msgspec.to_builtins(result.by_seed),
                "findings": result.findings,
            }
            for result in (*study.results, *study.baselines)
        ],
        "control_shuffled_labels": msgspec.to_builtins(study.control) | {"leaks": leaks},
        "leak_caught": study.leak_caught,
    }
