"""What `bench serve` measures with says what happened: counts, a stall, failures; and it runs against our own door."""

import inspect
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from benchmarks import serve, serve_rest, serve_servers, serve_swaps, serve_ticks
from benchmarks.serve_load import HOST, Target, answer_of, cpu_ns, features, infer_body, load, post, until_answered
from native._native import EchoServer, http_load
from ringcraft.commands import bench

REQUEST = post("/v2/models/bench/infer", infer_body(features(64)))
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsaid"


@contextmanager
def echo(answer: bytes = ANSWER, **options: float) -> Iterator[Target]:
    server = EchoServer(len(REQUEST), answer, **options)
    yield Target(server.port, REQUEST, lambda: [os.getpid()])
    server.stop()


@contextmanager
def scripted(serve_one: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve every connection by a function of its socket; give the port."""
    with closing(socket.create_server((HOST, 0))) as listener:

        def run() -> None:
            while True:
                try:
                    one = listener.accept()[0]
                except OSError:
                    return
                with one:
                    serve_one(one)

        threading.Thread(target=run, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def ask(port: int, **options: float) -> dict[str, object]:
    about = {"connections": 2, "per_second": 100.0, "seconds": 0.2, "patience_s": 2.0}
    return http_load(HOST, port, REQUEST, **(about | options))


def slow(target: Target, **options: float) -> int:
    """How many requests took over 100 ms."""
    return int((load(target, connections=4, seconds=0.5, **options).latencies_us > 1e5).sum())


def test_open_loop_asks_as_often_as_it_says() -> None:
    with echo() as target:
        found = load(target, connections=4, seconds=0.4, per_second=500)
    assert (len(found.latencies_us), found.failed) == (200, 0)
    np.testing.assert_allclose(np.diff(found.due_s), 1 / 500)
    assert found.quantile_us(0.0) > 1


def test_a_stall_is_charged_to_all_who_had_to_wait() -> None:
    with echo(stall_at=50, stall_s=0.2) as target:
        waited = slow(target, per_second=1000.0)
    with echo(stall_at=50, stall_s=0.2) as target:
        hidden = slow(target)
    assert waited >= 90  # those that fell due in the stall's first half
    assert hidden < waited  # a closed loop asks nobody meanwhile


def test_an_answer_s_time_is_the_server_s_delay() -> None:
    def late(link: socket.socket) -> None:
        while link.recv(65_536):
            time.sleep(0.02)
            link.sendall(ANSWER)

    with scripted(late) as port:
        found = ask(port, connections=1, per_second=0.0)
    assert found["latencies_ns"].min() >= 20e6
    assert found["answered"] <= 10


def test_other_statuses_and_broken_connections_are_told_apart() -> None:
    with echo(ANSWER.replace(b"200 OK", b"503 No")) as target:
        found = ask(target.port)
    assert (found["answered"], found["refused"], found["status"]) == (0, 20, 503)
    assert (found["latencies_ns"] == -1).all()

    with scripted(lambda link: link.recv(65_536)) as port:
        found = ask(port)
    assert (found["broken"], found["answered"], found["unanswered"]) == (20, 0, 0)

    with scripted(lambda link: time.sleep(0.4)) as port:
        found = ask(port, connections=1, patience_s=0.05)
    assert found["unanswered"] == 20


def test_answers_in_pieces_are_put_together() -> None:
    def piecemeal(link: socket.socket) -> None:
        while link.recv(65_536):
            for place in range(0, len(ANSWER), 9):
                link.sendall(ANSWER[place : place + 9])
                time.sleep(0.001)

    with scripted(piecemeal) as port:
        assert ask(port, connections=1, per_second=50.0)["answered"] == 10


def test_what_is_no_server_or_no_http_says_so() -> None:
    with closing(socket.create_server((HOST, 0))) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises(RuntimeError, match="refused"):
        ask(port)
    with echo(b"SSH-2.0 hello\r\n\r\n") as target, pytest.raises(RuntimeError, match=r"expected HTTP/1\.1"):
        ask(target.port)
    with pytest.raises(ValueError, match="connections"):
        ask(port, connections=0)
    with pytest.raises(TimeoutError, match="refused"):
        until_answered(Target(port, REQUEST, list), lambda: True, limit_s=0.2)


def test_processor_time_is_the_process_s_own() -> None:
    before, own = cpu_ns([os.getpid()]), time.process_time_ns()
    sum(range(300_000))
    spent = cpu_ns([os.getpid()]) - before
    assert spent == pytest.approx(time.process_time_ns() - own, rel=0.1)


def test_door_against_echo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_rest, "ROUNDS", 1)
    monkeypatch.setattr(serve_rest, "KINDS", serve_rest.KINDS[:1])
    monkeypatch.setattr(serve, "PLOT", tmp_path / "serve.png")
    monkeypatch.setitem(serve.PARTS, "door", lambda setting, _: serve_rest.door_rows(setting, ways=(False,)))
    rows = serve.run(parts=["door"], seconds=0.1, connections=2)
    assert [row["name"][:5] for row in rows] == ["dense"] * 5
    assert all(np.isfinite([row["ours"], row["ratio"], row["low"], row["high"]]).all() for row in rows)
    spent, against, p50, _, failed = rows[:5]
    assert spent["ours"] == against["ours"] > 1
    assert p50["met"] == (p50["ratio"] >= p50["goal"])
    assert failed["peer"] == 0
    assert (tmp_path / "serve.png").stat().st_size > 1000


def test_a_peer_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_servers, "PEERS", tmp_path)
    there, absent = serve_rest.installed(["granian"])
    assert (there, [peer.name for peer in absent]) == ([], ["granian"])


def test_the_command_knows_every_part_and_peer() -> None:
    assert tuple(serve.PARTS) == bench.SERVE_PARTS
    assert tuple(peer.name for peer in serve_servers.PEER_SERVERS) == bench.SERVE_PEERS
    assert {one.name for one in bench.bench.params} >= set(inspect.signature(serve.run).parameters)


def test_answer_as_it_came() -> None:
    with echo() as target:
        assert answer_of(target) == ANSWER


@pytest.mark.long
def test_every_other_part_measures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(serve, "PLOT", tmp_path / "serve.png")
    for module, rounds in ((serve_swaps, "ROUNDS"), (serve_swaps, "SHADOW_ROUNDS"), (serve_ticks, "ROUNDS")):
        monkeypatch.setattr(module, rounds, 1)
    monkeypatch.setattr(serve_ticks, "EVENTS", 2_000)
    rows = serve.run(parts=["swaps", "shadow", "ticks", "soak", "cost"], seconds=0.5, connections=2, decisions=100_000)
    assert len(rows) == 3 + 2 + 4 + 2 + 2
    assert all(np.isfinite([row["ours"], row["ratio"]]).all() for row in rows)
    swapped, failed, late = rows[:3]
    taken_up = int(re.search(r"(\d+) versions", swapped["name"])[1])
    assert taken_up >= 1
    assert (failed["ours"], late["unit"]) == (0, "requests")
    decided = next(row for row in rows if "event to decision" in row["name"])
    assert 0.1 < decided["ours"] < 1e4
    assert len(rows[-3]["tenths_us"]) == 10
