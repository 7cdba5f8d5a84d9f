"""ringcraft drift."""

import sys
from pathlib import Path

import click
import msgspec

from data_contracts.settings import load_settings
from ringcraft.commands.options import config_option, json_option, source_options
from ringcraft.exits import NOT_SO
from ringcraft.terminal import out, print_json, table


@click.command()
@source_options
@click.option(
    "--reference", type=click.Path(path_type=Path), default=None, help="Recording to compare with; default: of --model."
)
@click.option(
    "--model", "uri", default=None, metavar="models:/NAME/VERSION", help="Ask about its answers, earnings too."
)
@click.option("--feature-set", default=None, help="Default: the model's, else touch_v1 or quotes_v1.")
@click.option("--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.05, show_default=True,
              help="Chance of any false alarm.")  # fmt: skip
@click.option(
    "--min-interval-s", type=click.FloatRange(min=0), default=1.0, show_default=True, help="Between two rows."
)
@click.option(
    "--work", type=click.Path(path_type=Path), default=Path("build/drift"), show_default=True, help="Working files."
)
@config_option
@json_option
def drift(
    source: Path,
    format_name: str | None,
    instrument: str | None,
    reference: Path | None,
    uri: str | None,
    feature_set: str | None,
    alpha: float,
    min_interval_s: float,
    work: Path,
    config: Path | None,
    as_json: bool,
) -> None:
    """Say whether the recording SOURCE is distributed as a reference was: features, the feed, a model's answers.

    Exit code 1: something has drifted. With --model, an MLflow server is needed (settings: mlflow.uri).
    """
    settings = load_settings(config)
    if reference is None and uri is None:
        raise click.UsageError("expected --reference, or --model whose data it is, got neither")
    from ringcraft.prefect_home import keep_prefect_in
    from ringcraft.registry_access import reachable_registry

    registry = reachable_registry(settings) if uri else None
    keep_prefect_in(work)
    from data_contracts.errors import UsageError
    from pipelines.flows import Given
    from pipelines.retrain import drift_flow, request_of, sentence
    from pipelines.steps.drift import DriftRequest

    former = request_of(uri, registry) if uri and registry and reference is None else None
    if reference is None and (former is None or not former.source):
        raise UsageError(f"{uri}: expected a version that knows its recording, got none; give --reference")
    request = DriftRequest(
        reference=str(reference or (former.source if former else "")),
        source=str(source),
        format=format_name,
        instrument=instrument,
        feature_set=feature_set,
        min_interval_ns=round(min_interval_s * 1e9),
        alpha=alpha,
    )
    report = drift_flow(request, uri, Given(registry=registry))
    if as_json:
        print_json(msgspec.to_builtins(report) | {"drifted": report.drifted})
    else:
        rows = [(r.column, r.test, r.value, r.limit, r.p_value, "DRIFT" if r.drifted else "") for r in report.results]
        table(f"{report.instrument}: {sentence(report)}", ("column", "test", "value", "limit", "p", ""), rows)
        for note in report.notes:
            out.print(note, highlight=False)
    if report.drifted:
        sys.exit(NOT_SO)
