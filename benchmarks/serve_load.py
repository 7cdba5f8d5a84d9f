"""Load from a native thread on a core of its own, and what it cost the server's processes."""

import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from native._native import http_load

if TYPE_CHECKING:
    from native._native import LoadRun

HOST: Final = "127.0.0.1"
_PATIENCE_S: Final = 5.0
_PRIORITY: Final = 10
_PAUSE_S: Final = 0.1


class Target(NamedTuple):
    """A server, and what it is asked."""

    port: int
    request: bytes
    pids: Callable[[], Sequence[int]]
    """Processes whose time counts, all alive."""


class Load(NamedTuple):
    """What one load met; times in µs."""

    latencies_us: NDArray[np.float64]
    """Of requests answered by 200, in the order they fell due."""
    due_s: NDArray[np.float64]
    """When they fell due, from the load's start; of an open loop."""
    per_second: float
    cpu_us: float
    """The server's processor time a request."""
    start_ns: int
    """CLOCK_MONOTONIC."""
    failed: int
    """Refused, broken or never answered."""

    @property
    def per_core_second(self) -> float:
        """Requests a second of the server's processor time: what a core of its own would do."""
        return 1e6 / self.cpu_us

    def quantile_us(self, share: float) -> float:
        """Return the latency that this share of the answered requests kept to; NaN where none was."""
        return float(np.quantile(self.latencies_us, share)) if len(self.latencies_us) else float("nan")


def features(width: int) -> list[float]:
    """Return one row as a client spells it: six digits."""
    return [round(float(value), 6) for value in np.random.default_rng(7).normal(size=width)]


def post(path: str, body: object) -> bytes:
    """Return a whole keep-alive request that brings JSON."""
    data = json.dumps(body, separators=(",", ":")).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}"
    return head.encode() + b"\r\n\r\n" + data


def infer_body(row: Sequence[float]) -> dict[str, object]:
    """Return the Open Inference Protocol's question of one row."""
    shape = [1, len(row)]
    return {"inputs": [{"name": "features", "datatype": "FP32", "shape": shape, "data": list(row)}]}


def load(target: Target, *, connections: int, seconds: float, per_second: float = 0.0) -> Load:
    """Load a server from the calling thread.

    Args:
        target: the server.
        connections: kept alive.
        seconds: requests fall due for so long.
        per_second: beat of an open loop; 0: a closed loop.

    Raises:
        RuntimeError: nobody listens, or what answers is no HTTP/1.1.
    """
    before_ns = cpu_ns(target.pids())
    run = http_load(
        HOST,
        target.port,
        target.request,
        connections=connections,
        per_second=per_second,
        seconds=seconds,
        patience_s=_PATIENCE_S,
    )
    spent_us = (cpu_ns(target.pids()) - before_ns) / 1e3
    return _read(run, spent_us, per_second)


def _read(run: "LoadRun", spent_us: float, per_second: float) -> Load:
    answered = np.flatnonzero(run["latencies_ns"] >= 0)
    return Load(
        latencies_us=run["latencies_ns"][answered] / 1e3,
        due_s=answered / per_second if per_second else np.full(len(answered), np.nan),
        per_second=run["answered"] / (run["elapsed_ns"] / 1e9),
        cpu_us=spent_us / max(run["answered"], 1),
        start_ns=run["start_ns"],
        failed=run["refused"] + run["broken"] + run["unanswered"],
    )


def until_answered(target: Target, alive: Callable[[], bool], *, limit_s: float) -> None:
    """Wait until the server answers its request by 200.

    Raises:
        TimeoutError: it does not, or ends.
    """
    end, why = time.monotonic() + limit_s, "nothing"
    while time.monotonic() < end and alive():
        try:
            run = http_load(
                HOST, target.port, target.request, connections=1, per_second=10.0, seconds=0.1, patience_s=_PATIENCE_S
            )
        except RuntimeError as error:
            why = str(error)
        else:
            if run["answered"] == 1:
                return
            why = f"status {run['status']}"
        time.sleep(0.1)
    raise TimeoutError(f"no answer within {limit_s:g} s, last: {why}")


def answer_of(target: Target) -> bytes:
    """Return one answer as it came, head and body.

    Raises:
        OSError: nobody listens, or the connection ends first.
    """
    with socket.create_connection((HOST, target.port), timeout=_PATIENCE_S) as link:
        link.sendall(target.request)
        data = b""
        while not _is_whole(data):
            part = link.recv(65_536)
            if not part:
                raise OSError("the server closed the connection")
            data += part
    return data


def _is_whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    stated = re.search(rb"(?i)content-length: *([0-9]+)", head)
    return bool(end) and stated is not None and len(body) >= int(stated[1])


def cpu_ns(pids: Sequence[int]) -> int:
    """Return the processor time that these processes spent until now, all threads, by the kernel's own clock."""
    # A process's clock has its number's complement in its upper bits: clock_getcpuclockid(3).
    return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in pids)


def family(pid: int) -> list[int]:
    """Return a process and all that it started and that live."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += family(int(child))
    return found


@contextmanager
def on_core(core: int, *, first: Sequence[int] | None = None) -> Iterator[None]:
    """Keep the calling thread to one core meanwhile.

    Args:
        core: the only one.
        first: None: priorities stay as they are. Else the calling thread and every thread of these processes go
            before whatever else the machine runs, in real time; it takes the privilege to.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        if first is not None:
            time.sleep(_PAUSE_S)  # a core's second that is never without real time has some of it taken away
            _schedule(first, os.SCHED_FIFO, _PRIORITY)
        yield
    finally:
        if first is not None:
            _schedule(first, os.SCHED_OTHER, 0)
        os.sched_setaffinity(0, before)


def _schedule(pids: Sequence[int], policy: int, priority: int) -> None:
    threads = [int(path.name) for pid in pids for path in Path(f"/proc/{pid}/task").glob("*")]
    for thread in (*threads, 0):
        with suppress(ProcessLookupError):
            # Threads that a server set before its others stay before them.
            preferred = policy != os.SCHED_OTHER and os.getpriority(os.PRIO_PROCESS, thread) < 0
            os.sched_setscheduler(thread, policy, os.sched_param(priority + preferred))


@contextmanager
def halted(*targets: Target) -> Iterator[None]:
    """Hold these servers still meanwhile, so that one that spins takes nobody's time."""
    pids = [pid for target in targets for pid in target.pids()]
    _signal(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(pids, signal.SIGCONT)


def _signal(pids: Sequence[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
