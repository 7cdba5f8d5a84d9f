"""The console on a port, in a thread of its own."""

import socket
import threading
from types import TracebackType
from typing import Final, Self

import uvicorn
from starlette.applications import Starlette

from data_contracts.errors import UsageError

_STOP_LIMIT_S: Final = 5.0


class ConsoleServer:
    """Serves an application until stopped; the port is bound, and `url` known, once made."""

    def __init__(self, app: Starlette, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Bind.

        Args:
            app: what console_app returned.
            host: address to listen on.
            port: 0 takes any free one.

        Raises:
            UsageError: the address cannot be bound, for example because the port is taken.
        """
        try:
            self._socket = socket.create_server((host, port), backlog=128)
        except OSError as error:
            raise UsageError(f"console: {host}:{port}: expected a free port, got: {error.strerror}") from None
        self.port = int(self._socket.getsockname()[1])
        self.url = f"http://{host}:{self.port}"
        settings = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(settings)
        self._app = app
        self._thread = threading.Thread(target=self._serve, name="console", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._app.state.stopping = False
        self._thread.start()

    def stop(self) -> None:
        """End every connection and give the port back."""
        # Streams never end by themselves: they are told first, and a stuck client is not waited for.
        self._app.state.stopping = True
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_STOP_LIMIT_S)
        self._socket.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])
