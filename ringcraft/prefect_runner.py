"""Runs deployments here until told to stop, and leaves no run's process behind."""

import asyncio
import os
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner

GIVE_UP_S: Final = 3.5
"""Ending, Prefect pauses its schedules over HTTP, and tries for long where the server has gone first."""


class _InOrder(Runner):
    """Ends on SIGTERM as it does on Ctrl-C: Prefect's own handler calls a coroutine without awaiting it."""

    def handle_sigterm(self, *_args: object, **_kwargs: object) -> None:
        limit = threading.Timer(GIVE_UP_S, _end_at_once)
        limit.daemon = True
        limit.start()
        signal.raise_signal(signal.SIGINT)


def run_until_told(deployments: Sequence[RunnerDeployment]) -> None:
    """Register the deployments and run what their schedules ask for, until SIGTERM or SIGINT."""
    # A shell starts background jobs with SIGINT ignored, and asyncio then leaves it alone.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    runner = _InOrder(pause_on_shutdown=True)
    for deployment in deployments:
        runner.add_deployment(deployment)
    with suppress(KeyboardInterrupt):
        asyncio.run(runner.start())


def _end_at_once() -> None:
    # As `up`'s child this process leads a group that holds the processes of its runs and nothing else.
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
