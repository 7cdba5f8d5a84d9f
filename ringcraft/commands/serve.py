"""ringcraft serve."""

from pathlib import Path

import click

from data_contracts.settings import load_settings
from ringcraft.commands.options import config_option


@click.command()
@config_option
def serve(config: Path | None) -> None:
    """Run the serving tier here until Ctrl-C: a supervisor with a controller and a worker.

    It follows the models named in ringcraft.toml, [[serving.models]]. Logs are JSON on stderr. Ctrl-C and SIGTERM
    end it in order, with exit code 0. Exit code 2: a port is taken, or another tier runs on the state folder.
    """
    from ringcraft.logs import configure_logs
    from ringcraft.ports import serving_ports_must_be_free
    from ringcraft.processes.supervisor import supervise

    settings = load_settings(config)
    configure_logs(settings.log_level)
    serving_ports_must_be_free(settings.serving)
    supervise(settings, config)
