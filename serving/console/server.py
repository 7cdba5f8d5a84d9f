"""The console on a port, in a thread of its own."""

import socket
import ssl
import threading
from types import TracebackType
from typing import Final, Self

import uvicorn
from starlette.applications import Starlette

from data_contracts.errors import UsageError
from data_contracts.settings import TlsSettings

_STOP_LIMIT_S: Final = 5.0


class ConsoleServer:
    """Serves an application until stopped; the port is bound, and `url` known, once made."""

    def __init__(
        self, app: Starlette, *, host: str = "127.0.0.1", port: int = 0, tls: TlsSettings | None = None
    ) -> None:
        """Bind.

        Args:
            app: what console_app returned.
            host: address to listen on.
            port: 0 takes any free one.
            tls: what is shown to who calls; None: everything goes in clear.

        Raises:
            UsageError: the address cannot be bound, for example because the port is taken, or certificate and key
                are not a pair that can be read.
        """
        if tls is not None:
            _must_be_a_pair(tls)
        try:
            self._socket = socket.create_server((host, port), backlog=128)
        except OSError as error:
            raise UsageError(f"console: {host}:{port}: expected a free port, got: {error.strerror}") from None
        self.port = int(self._socket.getsockname()[1])
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"
        settings = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
            ssl_certfile=tls.certificate if tls else None,
            ssl_keyfile=tls.key if tls else None,
        )
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


def _must_be_a_pair(tls: TlsSettings) -> None:
    """Refuse here what would end the server's thread."""
    try:
        # A pass phrase that were asked for would be asked on a terminal that nobody sits at.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key, password=lambda: "")
    except OSError as error:
        said = error.strerror or error
        raise UsageError(
            f"serving.console_tls: expected a certificate in {tls.certificate} and its key in {tls.key}, got: {said}"
        ) from None
