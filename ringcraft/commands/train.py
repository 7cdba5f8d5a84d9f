"""ringcraft train."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from data_contracts.settings import load_settings
from ringcraft.commands.label_options import label_of, label_options
from ringcraft.commands.options import config_option, json_option, source_options
from ringcraft.terminal import print_json, progress

if TYPE_CHECKING:
    from models.labels import LabelReport


@click.command()
@source_options
@click.option("--model", required=True, help="Registered model that gets the new versions.")
@click.option(
    "--family", "families", multiple=True, help="xgboost, mlp, logistic; repeat for more. Default: xgboost, mlp."
)
@click.option(
    "--horizon-s", type=click.FloatRange(min=0.001), default=5.0, show_default=True, help="Label horizon, event time."
)
@label_options
@click.option(
    "--min-interval-s", type=click.FloatRange(min=0), default=0.0, show_default=True, help="Between two decisions."
)
@click.option("--feature-set", default=None, help="A name, lead_lag_v1=LEADER, or a fitted set's file.")
@click.option("--leader", type=click.Path(path_type=Path), default=None, help="Source of the leader; default: SOURCE.")
@click.option("--trials", type=click.IntRange(min=1), default=10, show_default=True, help="Optuna trials a family.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--alias", default=None, help="Alias that the best new version gets, for example challenger.")
@click.option(
    "--work", type=click.Path(path_type=Path), default=Path("build/train"), show_default=True, help="Working files."
)
@click.option("--fast", is_flag=True, help="Fewer rows and trials: a quick look.")
@config_option
@json_option
def train(
    source: Path,
    format_name: str | None,
    instrument: str | None,
    model: str,
    families: tuple[str, ...],
    horizon_s: float,
    label_kind: str,
    label_bps: float | None,
    label_spreads: float,
    horizon_events: int | None,
    min_interval_s: float,
    feature_set: str | None,
    leader: Path | None,
    trials: int,
    seed: int,
    alias: str | None,
    work: Path,
    fast: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Train on the recording SOURCE: contract, features, labels, walk-forward, tuning, compression, publishing.

    Needs an MLflow server (settings: mlflow.uri); `ringcraft up` starts one.
    """
    settings = load_settings(config)
    from market_data.feature_sets import reads_depth
    from market_data.reading import read_recordings

    depth = reads_depth(feature_set)
    recordings = read_recordings(source, format=format_name, instrument=instrument, depth=depth)
    from ringcraft.prefect_home import keep_prefect_in
    from ringcraft.registry_access import reachable_registry

    registry = reachable_registry(settings)
    keep_prefect_in(work)
    from pipelines.flows import Given, train_flow
    from pipelines.request import TrainRequest
    from pipelines.scheduled import best
    from ringcraft.demo.report import show_models

    request = TrainRequest(
        model=model,
        families=families or ("xgboost", "mlp"),
        horizon_ns=round(horizon_s * 1e9),
        label=label_of(label_kind, label_bps, label_spreads, horizon_events),
        min_interval_ns=round(min_interval_s * 1e9),
        feature_set=feature_set,
        leader=str(leader or source),
        trials=trials,
        seed=seed,
        mlflow_uri=settings.mlflow.uri,
        experiment=settings.mlflow.experiment,
        work=str(work),
    )
    with progress() as bars:
        bar = bars.add_task("training", total=None, note="")

        def on_step(text: str, done: int, total: int) -> None:
            bars.update(bar, completed=done, total=total, note=text)

        def on_labels(report: "LabelReport") -> None:
            bars.console.print(report.sentence(), highlight=False)

        given = Given(recordings=recordings, registry=registry, on_step=on_step, on_labels=on_labels)
        result = train_flow(request.faster() if fast else request, given)
    if alias:
        registry.move_alias(model, alias, best(result.versions).version)
    if as_json:
        print_json(msgspec.to_builtins(result))
    else:
        show_models(result.versions)
