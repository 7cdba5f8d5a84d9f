"""Line protocol to a server: spooled to the disk first, sent in order by a thread, tried until the server has it.

Memory holds one batch. A batch that the server refuses for what it says, and would refuse for ever, goes to
`rejected.lp` beside the spool, counted, so that it does not hold up the others.
"""

import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Literal

import structlog
from msgspec import Struct

from data_contracts.errors import MissingDependencyError, StoreError, StoreUnavailableError
from market_data.stores.spool import Frame, Spool

log = structlog.get_logger()

Api = Literal["v3", "v2"]
REJECTED_FILE: Final = "rejected.lp"
_FIRST_WAIT_S: Final = 0.05
_LONGEST_WAIT_S: Final = 2.0
_REFUSED_FOR_EVER: Final = frozenset({400, 413, 422})
_TOLD_EVERY_S: Final = 60.0


class InfluxAddress(Struct, frozen=True, kw_only=True):
    """Where the server is, and how it is spoken to."""

    url: str
    """http://HOST:PORT."""
    database: str
    token: str = ""
    api: Api = "v3"
    """v3: InfluxDB 3, acknowledged once it is in its write-ahead log; v2: whatever takes /api/v2/write."""
    query_port: int | None = None
    """Of Arrow Flight, where it is not the URL's."""
    timeout_s: float = 10.0


def client_of(address: InfluxAddress) -> Any:  # noqa: ANN401  an InfluxDBClient3
    """Return a client of the vendor's library.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        from influxdb_client_3 import InfluxDBClient3, WriteOptions, write_client_options
        from influxdb_client_3.write_client.client.write_api import WriteType
    except ModuleNotFoundError:
        raise MissingDependencyError("InfluxDB needs influxdb3-python: pip install 'ringcraft[stores]'") from None
    milliseconds = int(address.timeout_s * 1000)
    # All in one: options given beside these are overruled by them.
    options = WriteOptions(
        write_type=WriteType.synchronous, use_v2_api=address.api == "v2", timeout=milliseconds, max_retries=0
    )
    return InfluxDBClient3(  # type: ignore[no-untyped-call]  # the vendor's signature
        host=address.url,
        database=address.database,
        token=address.token or "none",
        auth_scheme="Bearer" if address.api == "v3" else "Token",
        write_client_options=write_client_options(write_options=options),  # type: ignore[no-untyped-call]
        write_timeout=milliseconds,
        query_timeout=milliseconds,
        query_port_overwrite=address.query_port,
    )


class LineWriter:
    """Takes batches of lines and brings each to the server at least once, in order."""

    def __init__(
        self, address: InfluxAddress, folder: Path, *, max_bytes: int = 1 << 30, full_timeout_s: float = 5.0
    ) -> None:
        """Open the spool and begin to send what waits in it.

        Args:
            address: of the server; it need not be there.
            folder: of the spool.
            max_bytes: that may wait on the disk.
            full_timeout_s: how long a write waits for room there.

        Raises:
            UsageError: another process has the spool.
            StoreError: it is damaged.
            MissingDependencyError: influxdb3-python is not installed.
        """
        self._client = client_of(address)
        self._address, self._folder, self._full_timeout_s = address, folder, full_timeout_s
        self._spool = Spool(folder, max_bytes=max_bytes)
        self._stop = threading.Event()
        self._failure = ""
        self._told_s = -_TOLD_EVERY_S
        self.sent_batches = 0
        self.rejected_lines = 0
        self._thread = threading.Thread(target=self._run, name="influxdb", daemon=True)
        self._thread.start()

    def write(self, batches: Iterable[bytes]) -> None:
        """Take batches of lines, newline between them; on return they are on the disk.

        Raises:
            StoreFullError: the spool was full for too long; this batch and those after it were not taken.
        """
        for batch in batches:
            self._spool.append(batch, timeout_s=self._full_timeout_s)

    def flush(self, timeout_s: float) -> None:
        """Return once the server has everything.

        Raises:
            StoreUnavailableError: not in time; it stays in the spool.
        """
        if not self._spool.wait_empty(timeout_s):
            waiting = self._spool.waiting_bytes
            raise StoreUnavailableError(
                f"{self._address.url}: {waiting:,} bytes wait in {self._folder}: {self._failure or 'being sent'}"
            )

    def close(self) -> None:
        """End; what the server does not have yet stays in the spool."""
        self._stop.set()
        self._thread.join(self._address.timeout_s + 1.0)
        self._client.close()
        self._spool.close()

    def _run(self) -> None:
        wait_s = _FIRST_WAIT_S
        while not self._stop.is_set():
            try:
                frame = self._spool.peek(timeout_s=0.1)
            except StoreError as error:
                self._failure = str(error)
                log.error("spool_damaged", error=str(error))
                return
            if frame is None:
                continue
            if self._send(frame):
                self._spool.take(frame)
                wait_s = _FIRST_WAIT_S
            else:
                self._stop.wait(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    def _send(self, frame: Frame) -> bool:
        """Return whether the batch is done with."""
        from influxdb_client_3.exceptions.exceptions import InfluxDBError
        from urllib3.exceptions import HTTPError

        try:
            self._client.write(frame.payload, write_precision="ns")
        except InfluxDBError as error:
            status = getattr(error, "status", None) or getattr(error.response, "status", None)
            if status in _REFUSED_FOR_EVER:
                self._reject(frame, error)
                return True
            self._failed(f"status {status}: {error.message}")
            return False
        except (HTTPError, OSError) as error:
            self._failed(str(error))
            return False
        self.sent_batches += 1
        self._failure = ""
        return True

    def _failed(self, why: str) -> None:
        self._failure = " ".join(why.split())[:300]
        if time.monotonic() - self._told_s >= _TOLD_EVERY_S:
            self._told_s = time.monotonic()
            log.warning("influxdb_unreachable", url=self._address.url, error=self._failure)

    def _reject(self, frame: Frame, error: Any) -> None:  # noqa: ANN401  an InfluxDBError
        """Keep the lines that the server will never take; of a partial refusal, only those."""
        lines = frame.payload.splitlines()
        numbers = [one.line_number for one in getattr(error, "line_errors", ())]
        refused = [lines[number - 1] for number in numbers if 0 < number <= len(lines)] or lines
        why = " ".join(str(error.message).split())[:1000]
        with (self._folder / REJECTED_FILE).open("ab") as file:
            file.write(b"\n".join([f"# {why}".encode(), *refused]) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.rejected_lines += len(refused)
        log.error("influxdb_refused", url=self._address.url, lines=len(refused), error=why[:300])
