"""ringcraft schedule."""

import os
from pathlib import Path

import click
from pydantic import ValidationError

from data_contracts.errors import MissingDependencyError, UsageError
from data_contracts.settings import Settings, load_settings
from ringcraft.commands.options import config_option
from ringcraft.prefect_home import keep_prefect_in
from ringcraft.terminal import out


@click.command()
@config_option
@click.option("--list", "only_list", is_flag=True, help="Say what would be served; serve nothing.")
def schedule(config: Path | None, only_list: bool) -> None:
    """Serve the flows of ringcraft.toml, [[schedules]], as Prefect deployments with cron and events, until Ctrl-C.

    Needs a Prefect server: `ringcraft up` starts one, or set PREFECT_API_URL. Ctrl-C and SIGTERM end it with exit
    code 0; a run that is under way then is given up.
    """
    settings = load_settings(config)
    if not settings.schedules:
        raise UsageError("schedules: expected at least one [[schedules]] in ringcraft.toml, got none")
    for entry in settings.schedules:
        when = ", ".join(filter(None, (entry.cron, *(f"on {what}" for what in entry.on))))
        what = f"{entry.model} from {entry.source}" if entry.model else "runs and versions"
        out.print(f"{entry.name}: {when}: {entry.flow}: {what}")
    if only_list:
        return
    keep_prefect_in(settings.state_dir)
    os.environ.setdefault("PREFECT_API_URL", f"http://127.0.0.1:{settings.prefect_port}/api")
    _require_server(os.environ["PREFECT_API_URL"])
    _serve(settings)


def _require_server(api_url: str) -> None:
    import urllib.request

    try:
        with urllib.request.urlopen(f"{api_url}/health", timeout=3.0):  # noqa: S310  the user's own setting
            return
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise MissingDependencyError(
            f"no Prefect server answers at {api_url} ({reason}); `ringcraft up` starts one"
        ) from None


def _serve(settings: Settings) -> None:
    from pipelines.deployments import deployment_of, limit_learners
    from ringcraft.prefect_runner import run_until_told

    limit_learners(settings.learners)
    deployments = []
    for entry in settings.schedules:
        try:
            deployments.append(deployment_of(entry, settings))
        except UsageError as error:
            raise UsageError(f"schedules: {entry.name}: {error}") from None
        except ValueError as error:  # pydantic's: the cron fields
            raise UsageError(f"schedules: {entry.name}: cron: got {entry.cron!r}: {_reason(error)}") from None
    run_until_told(deployments)


def _reason(error: ValueError) -> str:
    return error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
