"""ringcraft train."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from data_contracts.errors import UsageError
from data_contracts.settings import Settings, load_settings
from ringcraft.commands.learning_options import learning_options, request_of
from ringcraft.commands.options import config_option, json_option, optional_source_options
from ringcraft.exits import NOT_SO
from ringcraft.terminal import print_json, progress

if TYPE_CHECKING:
    from models.labels import LabelReport


@click.command()
@optional_source_options
@click.option("--model", default=None, help="Registered model that gets the new versions.")
@click.option(
    "--from",
    "uri",
    default=None,
    metavar="models:/NAME/VERSION",
    help="Make this version again from the same data and compare bit for bit; publishes only with --model.",
)
@learning_options
@click.option("--alias", default=None, help="Alias that the best new version gets, for example challenger.")
@config_option
@json_option
def train(
    source: Path | None,
    format_name: str | None,
    instrument: str | None,
    model: str | None,
    uri: str | None,
    alias: str | None,
    asked: dict[str, Any],
    config: Path | None,
    as_json: bool,
) -> None:
    """Train on the recording SOURCE: contract, features, labels, walk-forward, tuning, compression, publishing.

    Needs an MLflow server (settings: mlflow.uri); `ringcraft up` starts one. With --from SOURCE is needed only where
    the recording no longer lies where it did; exit code 1: the graph made again is not the same.
    """
    settings = load_settings(config)
    if uri is not None:
        again(uri, source, model, settings, asked["work"], as_json=as_json)
        return
    if source is None or model is None:
        raise click.UsageError(f"expected {'SOURCE' if source is None else '--model'}, or --from, got neither")
    if not source.exists():
        raise UsageError(f"{source}: no such file or folder")
    from market_data.feature_sets import reads_depth
    from market_data.reading import read_recordings
    from ringcraft.prefect_home import keep_prefect_in
    from ringcraft.registry_access import reachable_registry

    registry = reachable_registry(settings)  # before minutes of reading
    depth = reads_depth(asked["feature_set"])
    recordings = read_recordings(source, format=format_name, instrument=instrument, depth=depth)
    keep_prefect_in(asked["work"])
    from pipelines.flows import Given
    from pipelines.flows import train as run_training
    from pipelines.scheduled import best
    from ringcraft.demo.report import show_models

    request = request_of(asked, settings, model=model, source=source, format_name=format_name, instrument=instrument)
    with progress() as bars:
        bar = bars.add_task("training", total=None, note="")

        def on_step(text: str, done: int, total: int) -> None:
            bars.update(bar, completed=done, total=total, note=text)

        def on_labels(report: "LabelReport") -> None:
            bars.console.print(report.sentence(), highlight=False)

        given = Given(recordings=recordings, registry=registry, on_step=on_step, on_labels=on_labels)
        result = run_training(request, given)
    if alias and result.versions:
        registry.move_alias(model, alias, best(result.versions).version)
    if as_json:
        print_json(msgspec.to_builtins(result))
    else:
        show_models(result.versions)
        for name, why in result.refused.items():
            click.echo(f"{name}: not published: {why}")


def again(uri: str, source: Path | None, model: str | None, settings: Settings, work: Path, *, as_json: bool) -> None:
    """Make the version at `uri` again; publish it under `model` where one is named."""
    from ringcraft.prefect_home import keep_prefect_in
    from ringcraft.registry_access import reachable_registry

    registry = reachable_registry(settings)
    keep_prefect_in(work)
    from pipelines.flows import Given
    from pipelines.flows import train as run_training
    from pipelines.reproduce import learnt_here, made_from, reproduce_flow
    from pipelines.request import changed

    where = str(source.resolve()) if source else None
    done = reproduce_flow(uri, str(work), Given(registry=registry), where)
    published, refused = None, None
    if done.same and model:
        _, _, recipe = made_from(uri, registry)
        request = changed(
            learnt_here(recipe.request),
            model=model,
            work=str(work),
            source=where or recipe.request.source,
            families=(recipe.family,),
            mlflow_uri=settings.mlflow.uri,
        )
        given = Given(registry=registry, configs={recipe.family: recipe.typed_config()})
        result = run_training(request, given)
        published = next((each.model_uri for each in result.versions), None)
        refused = result.refused.get(recipe.family)
    if as_json:
        print_json(msgspec.to_builtins(done) | {"published": published, "refused": refused})
    elif done.same:
        click.echo(f"{uri}: the same model.onnx, {done.got}" + (f"; published as {published}" if published else ""))
        if refused:
            click.echo(f"{recipe.family}: not published: {refused}")
    else:
        why = "" if done.same_code else "; code or libraries are not those that made it"
        click.echo(f"{uri}: expected model.onnx {done.expected}, got {done.got}{why}")
    if not done.same:
        sys.exit(NOT_SO)
