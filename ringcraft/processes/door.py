"""What every door that is a process of its own does: settings, signals, its port in the state folder, exit codes."""

from collections.abc import Callable
from pathlib import Path
from threading import Event

import structlog

from data_contracts.errors import RingcraftError, UsageError
from data_contracts.settings import Settings
from ringcraft.processes.options import settings_from_arguments
from serving.doors.counters import stating
from serving.doors.guard import Guard
from serving.doors.in_flight import InFlight
from serving.doors.ports import ports_path, state_ports
from serving.worker import stop_on_signals

log = structlog.get_logger()

Opened = Callable[..., None]
"""Told the ports by name."""


def run_door(name: str, package: str, serve: Callable[[Settings, Path, Event, Opened, Guard], None]) -> int:
    """Serve until SIGTERM or SIGINT; return 0, 2 for wrong settings, 3 where something needed is missing.

    Args:
        name: of the door.
        package: extra that brings what it needs.
        serve: serves with settings, state folder, what ends it, whom to tell the ports, and who looks at who asks.
    """
    try:
        settings = settings_from_arguments(f"{name} door")
        state_dir, stop = settings.state_dir.resolve(), stop_on_signals()
        serving = settings.serving
        in_flight = InFlight(getattr(serving.in_flight_max, name), serving.model_limits)
        guard = Guard(serving.api_keys, in_flight, serving.instrument_requests_per_second)
        try:
            with stating(guard.counters, state_dir, name):
                serve(settings, state_dir, stop, lambda **ports: state_ports(state_dir, name, **ports), guard)
        finally:
            ports_path(state_dir, name).unlink(missing_ok=True)
    except ModuleNotFoundError as error:
        log.error("door_refused", door=name, reason=f"{error}: pip install 'ringcraft[{package}]'")
        return 3
    except RingcraftError as error:
        log.error("door_refused", door=name, reason=str(error))
        return 2 if isinstance(error, UsageError) else 3
    return 0
