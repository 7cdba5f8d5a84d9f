"""`python -m ringcraft.processes.zeromq_door [--config FILE]`: questions and decisions over ZeroMQ."""

import sys
from pathlib import Path
from threading import Event

from data_contracts.settings import Settings
from ringcraft.processes.door import Opened, run_door
from serving.doors.guard import Guard


def serve(settings: Settings, state_dir: Path, stop: Event, opened: Opened, guard: Guard) -> None:
    """Serve until `stop` is set."""
    from serving.doors.zeromq_door import serve_zeromq

    serving = settings.serving
    serve_zeromq(
        state_dir,
        host=serving.host,
        port=serving.zeromq_port,
        publish_port=serving.zeromq_publish_port,
        stop=stop,
        opened=lambda port, publish_port: opened(port=port, publish_port=publish_port),
        guard=guard,
    )


def main() -> int:
    """Run until SIGTERM or SIGINT; return 0, 2 for wrong settings, 3 where something needed is missing."""
    return run_door("zeromq", "buses", serve)


if __name__ == "__main__":
    sys.exit(main())
