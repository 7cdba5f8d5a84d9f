"""ringcraft tune and ringcraft compress: what train does, up to there."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
import msgspec

from data_contracts.settings import load_settings
from ringcraft.commands.learning_options import learning_options, request_of
from ringcraft.commands.options import config_option, json_option, source_options
from ringcraft.terminal import out, print_json, progress

if TYPE_CHECKING:
    from pipelines.flows import Built
    from pipelines.steps.tune import Tuned


@click.command()
@source_options
@click.option("--model", required=True, help="Registered model that the versions are to be of.")
@learning_options
@config_option
@json_option
def tune(
    source: Path,
    format_name: str | None,
    instrument: str | None,
    model: str,
    asked: dict[str, Any],
    config: Path | None,
    as_json: bool,
) -> None:
    """Look for the best configurations on the recording SOURCE; `train` with the same options takes them up.

    Trials and plots go to MLflow, which has to run. A command that was killed goes on where its study was.
    """
    done: dict[str, Tuned] = _run("tune", asked, config, model, source, format_name, instrument)
    if as_json:
        shown = {n: {"config": one.config, "best": one.loss, "trials": one.trials} for n, one in done.items()}
        print_json(msgspec.to_builtins(shown))
        return
    first = asked["objectives"][0]
    for name, found in done.items():
        out.print(f"{name}: {first} {found.loss:.5g} of {len(found.trials)} trials: {found.config}", highlight=False)


@click.command()
@source_options
@click.option("--model", required=True, help="Registered model that the versions are to be of.")
@learning_options
@config_option
@json_option
def compress(
    source: Path,
    format_name: str | None,
    instrument: str | None,
    model: str,
    asked: dict[str, Any],
    config: Path | None,
    as_json: bool,
) -> None:
    """Tune, fit and compress on the recording SOURCE, and publish nothing.

    Every family's version, card and all, is left in a folder under --work; `train` with the same options publishes it.
    Trials and the front go to MLflow, which has to run.
    """
    done: dict[str, Built] = _run("compress", asked, config, model, source, format_name, instrument)
    if as_json:
        shown = {n: {"folder": str(one.folder), "compression": one.manifest.compression} for n, one in done.items()}
        print_json(msgspec.to_builtins(shown))
        return
    for name, made in done.items():
        found = made.manifest.compression
        said = "not compressed"
        if found is not None and found.steps:
            low, high = found.difference_low, found.difference_high
            said = f"{found.original_bytes:,} to {found.compressed_bytes:,} bytes by {', '.join(found.steps)}; "
            said += f"{found.metric} {low:+.4f} to {high:+.4f}, margin {found.margin:g}"
        out.print(f"{name}: {said}: {made.folder}", highlight=False)


def _run(
    what: Literal["tune", "compress"],
    asked: dict[str, Any],
    config: Path | None,
    model: str,
    source: Path,
    format_name: str | None,
    instrument: str | None,
) -> Any:  # noqa: ANN401  what the flow answers
    from ringcraft.prefect_home import keep_prefect_in
    from ringcraft.registry_access import reachable_registry

    settings = load_settings(config)
    reachable_registry(settings)
    keep_prefect_in(asked["work"])
    request = request_of(asked, settings, model=model, source=source, format_name=format_name, instrument=instrument)
    from pipelines import flows

    flow: Callable[..., Any] = flows.tune if what == "tune" else flows.compress
    with progress() as bars:
        bar = bars.add_task(what, total=None, note="")

        def on_step(text: str, done: int, total: int) -> None:
            bars.update(bar, completed=done, total=total, note=text)

        return flow(request, flows.Given(on_step=on_step))
