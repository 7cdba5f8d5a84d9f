"""ringcraft publish."""

import tempfile
from pathlib import Path
from typing import Final

import click

from data_contracts.errors import UsageError
from data_contracts.manifest import DecisionRule, Label
from data_contracts.settings import load_settings
from ringcraft.commands.options import config_option, json_option
from ringcraft.terminal import print_json

_UNMEASURED: Final = "Made elsewhere: what it is worth after costs was not measured here."


@click.command()
@click.argument("onnx_file", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="Registered model that gets the new version.")
@click.option(
    "--feature-set", "feature_set_name", required=True, help="What the graph's input holds, for example touch_v1."
)
@click.option(
    "--golden", type=click.Path(path_type=Path), required=True, help='JSON: {"inputs": rows, "outputs": rows}.'
)
@click.option(
    "--rule",
    type=click.Choice(["up_minus_down", "expected_bps"]),
    default="up_minus_down",
    show_default=True,
    help="Outputs P(down), P(flat), P(up), or one expected move in bps.",
)
@click.option("--threshold", type=click.FloatRange(min=0), required=True, help="Trades where the score exceeds it.")
@click.option("--horizon-s", type=click.FloatRange(min=0.001), required=True, help="What it predicts over, event time.")
@click.option(
    "--tolerance", type=click.FloatRange(min=0), default=1e-5, show_default=True, help="On the golden outputs."
)
@click.option(
    "--state",
    type=click.Choice(["window", "stream"]),
    default="window",
    show_default=True,
    help="Whether its state is carried from vector to vector.",
)
@click.option("--alias", default=None, help="Alias the version gets, for example challenger.")
@config_option
@json_option
def publish(
    onnx_file: Path,
    model: str,
    feature_set_name: str,
    golden: Path,
    rule: str,
    threshold: float,
    horizon_s: float,
    tolerance: float,
    state: str,
    alias: str | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Publish ONNX_FILE, a model of your own, as the next version of MODEL.

    Its first input is float32 (batch, features of the set), (batch, window, features) where it reads the newest vectors
    of an instrument, or (batch, steps, features), the steps left open, where it is a stream; its first output float32
    (batch, 3) or (batch, 1).
    It is refused where it does not answer the golden vectors as they say. Needs an MLflow server.
    """
    settings = load_settings(config)
    for path in (onnx_file, golden):
        if not path.is_file():
            raise UsageError(f"{path}: no such file")
    from market_data.feature_sets import complete, feature_set_of
    from pipelines.package import package_own
    from ringcraft.registry_access import reachable_registry

    with tempfile.TemporaryDirectory(prefix="ringcraft-") as folder:
        version_folder = Path(folder) / "version"
        package_own(
            version_folder,
            onnx_file,
            model=model,
            feature_set=complete(feature_set_of(feature_set_name)),
            rule=DecisionRule(kind="up_minus_down" if rule == "up_minus_down" else "expected_bps", threshold=threshold),
            label=Label(kind="own", horizon_ns=round(horizon_s * 1e9)),
            golden_file=golden,
            state="stream" if state == "stream" else "window",
            parity_tolerance=tolerance,
            notes=(_UNMEASURED,),
        )
        registry = reachable_registry(settings)
        version = registry.publish(model, version_folder, tags={"ringcraft.family": "own"})
    if alias:
        registry.move_alias(model, alias, version)
    if as_json:
        print_json({"model": model, "version": version, "model_uri": f"models:/{model}/{version}"})
    else:
        click.echo(f"{model} version {version}" + (f", alias {alias}" if alias else ""))
