"""Servers in processes of their own, one core each: the bare echo and other people's, the same ONNX file behind them.

`python -m benchmarks.serve_servers PORT REQUEST_BYTES ANSWER_FILE [spin]` is the echo.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.serve_load import Target, family, features, infer_body, post, until_answered
from native._native import EchoServer
from ringcraft.child import Child
from ringcraft.ports import free_port

ROOT: Final = Path(__file__).resolve().parents[1]
PEERS: Final = ROOT / "build" / "peers"
"""Where `make bench-peers` makes an environment for each."""
_START_LIMIT_S: Final = 120.0
_ROW: Final = features(64)


class Peer(NamedTuple):
    """A server that others wrote."""

    name: str
    title: str
    path: str = "/infer"
    body: Callable[[list[float]], object] = infer_body
    framework: bool = True
    """Serves models as its trade; else a server written by hand."""


PEER_SERVERS: Final = (
    Peer("granian", "granian RSGI + orjson + onnxruntime", framework=False),
    Peer("mlserver", "MLServer", path="/v2/models/bench/infer"),
    Peer("bentoml", "BentoML"),
    Peer("litserve", "LitServe"),
    Peer("ray", "Ray Serve"),
    Peer("mlflow", "mlflow models serve", path="/invocations", body=lambda row: {"inputs": [row]}),
)


def python_of(peer: Peer) -> Path:
    """Return the interpreter of a peer's environment, there or not."""
    return PEERS / peer.name / "bin" / "python"


@contextmanager
def peer_server(peer: Peer, model: Path, scratch: Path, *, core: int) -> Iterator[Target]:
    """Serve `model` by a peer on one core until the context ends.

    Args:
        peer: installed.
        model: the ONNX file, inputs of shape (n, 64).
        scratch: for its files and its log.
        core: that all its processes are kept to.

    Raises:
        TimeoutError: it does not come to answer; the message has the end of its log.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    port = free_port()
    program = ROOT / "benchmarks" / "peers" / f"{peer.name}_peer.py"
    command = [str(python_of(peer)), str(program), str(port), str(scratch)]
    environment = {
        "MODEL": str(model),
        "OMP_NUM_THREADS": "1",
        "PATH": f"{python_of(peer).parent}:{os.environ['PATH']}",
    }
    with _started(command, scratch, core, environment) as child:
        target = Target(port, post(peer.path, peer.body(_ROW)), lambda: family(child.pid))
        yield _answering(child, target, scratch)


@contextmanager
def echo_server(request: bytes, answer: bytes, scratch: Path, *, core: int, spin: bool = False) -> Iterator[Target]:
    """Answer every request by the same bytes, on one core, until the context ends.

    Raises:
        TimeoutError: it does not come to answer.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    said = scratch / "answer"
    said.write_bytes(answer)
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.serve_servers", str(port), str(len(request)), str(said)]
    with _started([*command, *(["spin"] if spin else [])], scratch, core, {"PYTHONPATH": str(ROOT)}) as child:
        yield _answering(child, Target(port, request, lambda: family(child.pid)), scratch)


@contextmanager
def _started(command: Sequence[str], scratch: Path, core: int, environment: Mapping[str, str]) -> Iterator[Child]:
    pinned = ["taskset", "-c", str(core), *command]
    log = scratch / "log"
    with Child(pinned, name=scratch.name, cwd=scratch, environment=environment, log=log) as child:
        yield child


def _answering(child: Child, target: Target, scratch: Path) -> Target:
    try:
        until_answered(target, lambda: child.alive, limit_s=_START_LIMIT_S)
    except TimeoutError as error:
        raise TimeoutError(f"{scratch.name}: {error}\n{(scratch / 'log').read_text()[-2000:]}") from None
    return target


def _echo(port: str, request_bytes: str, answer: str, *spin: str) -> None:
    server = EchoServer(int(request_bytes), Path(answer).read_bytes(), port=int(port), spin=bool(spin))
    signal.sigwait([signal.SIGTERM])
    server.stop()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    _echo(*sys.argv[1:])
