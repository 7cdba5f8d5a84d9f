"""librdkafka's own mock cluster, a broker that really speaks the protocol, with a switch that takes it down.

The Python client starts one too, but cannot take it down; the library's C functions can, and what it holds stays.
"""

import ctypes
import socket
from pathlib import Path

import confluent_kafka

_PRODUCER = 0


def _library() -> ctypes.CDLL:
    folder = Path(confluent_kafka.__file__).parent
    (path,) = folder.with_name(f"{folder.name}.libs").glob("librdkafka*")  # where the wheel has it
    library = ctypes.CDLL(str(path))
    library.rd_kafka_new.restype = ctypes.c_void_p
    library.rd_kafka_new.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    library.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_new.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    library.rd_kafka_mock_cluster_bootstraps.argtypes = [ctypes.c_void_p]
    library.rd_kafka_mock_topic_create.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]
    for name in ("up", "down"):
        getattr(library, f"rd_kafka_mock_broker_set_{name}").argtypes = [ctypes.c_void_p, ctypes.c_int32]
    library.rd_kafka_mock_cluster_destroy.argtypes = [ctypes.c_void_p]
    library.rd_kafka_destroy.argtypes = [ctypes.c_void_p]
    return library


class KafkaMock:
    """One broker; `down` cuts every connection and refuses new ones, `up` brings it back with what it holds."""

    def __init__(self, *, join_ms: int = 50) -> None:
        """Start it; a new group waits `join_ms` for others, by default three seconds."""
        self._library = _library()
        said = ctypes.create_string_buffer(512)
        self._client = self._library.rd_kafka_new(_PRODUCER, None, said, len(said))
        assert self._client, said.value
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, 1)
        delay = self._library.rd_kafka_mock_group_initial_rebalance_delay_ms
        delay.argtypes = [ctypes.c_void_p, ctypes.c_int32]
        delay(self._cluster, join_ms)
        self.servers = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def create(self, prefix: str, partitions: int = 3) -> None:
        for topic in ("events", "decisions", "outcomes"):
            assert not self._library.rd_kafka_mock_topic_create(
                self._cluster, f"{prefix}.{topic}".encode(), partitions, 1
            )

    def down(self) -> None:
        self._library.rd_kafka_mock_broker_set_down(self._cluster, 1)

    def up(self) -> None:
        self._library.rd_kafka_mock_broker_set_up(self._cluster, 1)

    def close(self) -> None:
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)


def nowhere() -> str:
    """Return an address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
