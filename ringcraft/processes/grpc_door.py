"""`python -m ringcraft.processes.grpc_door [--config FILE]`: the Open Inference Protocol over gRPC."""

import sys
from pathlib import Path
from threading import Event

from data_contracts.settings import Settings
from ringcraft.processes.door import Opened, run_door
from serving.doors.guard import Guard


def serve(settings: Settings, state_dir: Path, stop: Event, opened: Opened, guard: Guard) -> None:
    """Serve until `stop` is set."""
    from serving.doors.grpc_door import serve_grpc

    serving = settings.serving
    serve_grpc(
        state_dir,
        host=serving.host,
        port=serving.grpc_port,
        stop=stop,
        opened=lambda port: opened(port=port),
        guard=guard,
    )


def main() -> int:
    """Run until SIGTERM or SIGINT; return 0, 2 for wrong settings, 3 where something needed is missing."""
    return run_door("grpc", "grpc", serve)


if __name__ == "__main__":
    sys.exit(main())
