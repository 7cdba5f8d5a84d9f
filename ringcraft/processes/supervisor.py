"""`python -m ringcraft.processes.supervisor [--config FILE]`: worker and controller, kept running."""

import sys
from pathlib import Path

import structlog

from data_contracts.errors import RingcraftError, UsageError
from data_contracts.settings import Settings
from ringcraft.processes.options import config_from_arguments, settings_from_arguments
from serving.supervisor import Supervisor, child_commands
from serving.worker import stop_on_signals

log = structlog.get_logger()


def supervise(settings: Settings, config: Path | None) -> None:
    """Run worker and controller until SIGTERM or SIGINT; both stop with it, within five seconds."""
    stop = stop_on_signals()
    Supervisor(settings, child_commands(config, settings.serving.doors)).run(stop)


def main() -> int:
    """Run until SIGTERM or SIGINT; return 0, 2 for wrong settings, 3 where something needed is missing."""
    try:
        supervise(settings_from_arguments("supervisor"), config_from_arguments("supervisor"))
    except RingcraftError as error:
        log.error("supervisor_refused", reason=str(error))
        return 2 if isinstance(error, UsageError) else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
