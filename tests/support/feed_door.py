"""A small door that speaks the feed protocol over a real socket."""

import json
import socket
import struct
import threading
import time

import numpy as np

from data_contracts.feed_hello import read_hello
from data_contracts.market_event import DEPTH_LEVELS, MARKET_EVENT
from market_data.publish import END, EVENTS, HELLO

PREFIX = struct.Struct("<IB")


class Door:
    """Accepts one feed and keeps what it is sent; `refusal` is its answer to HELLO, `cut_after` its patience."""

    def __init__(self, *, refusal: str | None = None, cut_after: int | None = None) -> None:
        self.refusal, self.cut_after = refusal, cut_after
        self.instruments: list[dict[str, object]] = []
        self.frames: list[tuple[float, np.ndarray]] = []
        self.levels: list[np.ndarray] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def events(self) -> np.ndarray:
        return np.concatenate([events for _, events in self.frames])

    @property
    def depth(self) -> np.ndarray:
        """The levels at each event, shape (n, 4, 10), of a feed that sends them."""
        return np.concatenate(self.levels)

    def close(self) -> None:
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        with connection, connection.makefile("rb") as incoming:
            while header := incoming.read(PREFIX.size):
                length, kind = PREFIX.unpack(header)
                payload = incoming.read(length - 1)
                if kind == HELLO:
                    self.instruments = json.loads(payload)
                    self.said = read_hello(payload)
                    self._reply(connection, kind, {"error": self.refusal} if self.refusal else {"accepted": True})
                elif kind == EVENTS:
                    assert length <= 1 << 20
                    self.frames.append((time.monotonic(), self._events(payload)))
                    if self.cut_after is not None and len(self.frames) >= self.cut_after:
                        self._reply(connection, kind, {"error": "instrument 7 was never named"})
                        return
                elif kind == END:
                    self._reply(connection, kind, {"events": len(self.events), "decisions": 5})

    def _events(self, payload: bytes) -> np.ndarray:
        if not self.said.depth:
            return np.frombuffer(payload, dtype=MARKET_EVENT)
        rows = np.frombuffer(payload, dtype=[("event", MARKET_EVENT), ("levels", np.int64, (4, DEPTH_LEVELS))])
        self.levels.append(rows["levels"])
        return rows["event"]

    @staticmethod
    def _reply(connection: socket.socket, kind: int, body: dict[str, object]) -> None:
        payload = json.dumps(body).encode()
        connection.sendall(PREFIX.pack(len(payload) + 1, kind) + payload)
