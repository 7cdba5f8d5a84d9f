"""`python -m ringcraft.processes.websocket_door [--config FILE]`: decisions, questions and events over WebSocket."""

import sys
from pathlib import Path
from threading import Event

from data_contracts.settings import Settings
from ringcraft.processes.door import Opened, run_door
from serving.doors.guard import Guard


def serve(settings: Settings, state_dir: Path, stop: Event, opened: Opened, guard: Guard) -> None:
    """Serve until `stop` is set."""
    from serving.doors.websocket_door import serve_websocket

    serving = settings.serving
    serve_websocket(
        state_dir,
        host=serving.host,
        port=serving.websocket_port,
        stop=stop,
        opened=lambda port: opened(port=port),
        guard=guard,
        kept=serving.websocket_kept,
    )


def main() -> int:
    """Run until SIGTERM or SIGINT; return 0, 2 for wrong settings, 3 where something needed is missing."""
    return run_door("websocket", "live", serve)


if __name__ == "__main__":
    sys.exit(main())
