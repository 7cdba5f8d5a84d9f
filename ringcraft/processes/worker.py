"""`python -m ringcraft.processes.worker [--config FILE]`: one data-plane worker."""

import sys

import structlog

from data_contracts.errors import RingcraftError, UsageError
from ringcraft.processes.options import settings_from_arguments
from serving.worker import run_worker

log = structlog.get_logger()


def main() -> int:
    """Run until SIGTERM or SIGINT; return 0, 2 for wrong settings, 3 where something needed is missing."""
    try:
        run_worker(settings_from_arguments("worker"))
    except RingcraftError as error:
        log.error("worker_refused", reason=str(error))
        return 2 if isinstance(error, UsageError) else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
