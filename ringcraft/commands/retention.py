"""ringcraft retention."""

from pathlib import Path

import click
import msgspec

from data_contracts.settings import load_settings
from ringcraft.commands.options import config_option, json_option
from ringcraft.terminal import print_json


@click.command()
@click.option("--model", "models", multiple=True, help="Only this one, whoever made its versions; may be given again.")
@click.option("--keep-days", type=click.FloatRange(min=0, min_open=True), default=30.0, show_default=True)
@click.option("--keep-versions", type=click.IntRange(min=1), default=10, show_default=True, help="Newest of a model.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and leave it.")
@click.option(
    "--work", type=click.Path(path_type=Path), default=Path("build/train"), show_default=True, help="Working files."
)
@config_option
@json_option
def retention(
    models: tuple[str, ...],
    keep_days: float,
    keep_versions: int,
    dry_run: bool,
    work: Path,
    config: Path | None,
    as_json: bool,
) -> None:
    """Delete old versions and runs that `ringcraft train` made and nothing points at.

    A version with an alias, or that the tier still holds, is never touched, nor is its run. Needs an MLflow server.
    """
    settings = load_settings(config)
    from ringcraft.prefect_home import keep_prefect_in
    from ringcraft.registry_access import reachable_registry

    reachable_registry(settings)
    keep_prefect_in(work)
    from pipelines.retention import RetentionRequest, retention_flow

    request = RetentionRequest(
        mlflow_uri=settings.mlflow.uri,
        experiment=settings.mlflow.experiment,
        keep_days=keep_days,
        keep_versions=keep_versions,
        models=models,
        work=(str(work),),
        dry_run=dry_run,
    )
    result = retention_flow(request)
    if as_json:
        print_json(msgspec.to_builtins(result))
        return
    did = "would delete" if dry_run else "deleted"
    click.echo(f"{did} {len(result.versions)} versions, {len(result.runs)} runs, {len(result.folders)} folders")
    for name in result.versions:
        click.echo(f"  {name}")
    for name, why in result.kept.items():
        click.echo(f"  kept {name}: {why}")
