"""Thousands of connections that idle, drip or have half gone: whoever asks beside them is answered as before."""

import contextlib
import json
import resource
import socket
import statistics
import time
from collections.abc import Iterator

import pytest
from worker_kit import MODEL, Tier, ab_route, linear_graph, lineup, tier, wait_for, write_version

from benchmarks.versions import WIDTH

BODY = json.dumps({"model": MODEL, "features": [0.5] * WIDTH}).encode()
QUESTION = b"POST /v1/decide HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
BEGUN = 20
PORTS = 20_000
"""Connections from one source address at most; the next come from 127.0.0.2 and so on."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tier]:
    folder = tmp_path_factory.mktemp("many")
    version = write_version(folder / "1", linear_graph)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the worker inherits it
    with tier(folder, shed_after_us=[60_000_000] * 3) as one:
        one.show(lineup({1: version}, budget_us=60_000_000))
        one.beat()
        one.routing.publish([ab_route(challenger_version=0)])
        one.start()
        yield one
        assert one.stop() == 0
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def asked_us(link: socket.socket, questions: int) -> list[float]:
    """Ask one after another on a connection that stays; return how long each answer took."""
    took = []
    for _ in range(questions):
        began = time.perf_counter()
        link.sendall(QUESTION)
        said = link.recv(65_536)
        took.append((time.perf_counter() - began) * 1e6)
        assert said.startswith(b"HTTP/1.1 200 OK"), said
    return took


def p99(times_us: list[float]) -> float:
    return statistics.quantiles(times_us, n=100)[98]


def crowd(port: int, count: int) -> list[socket.socket]:
    """Open connections: a third says nothing, a third begins a request, a third begins one and half goes."""
    made = []
    for place in range(count):
        source = (f"127.0.0.{1 + place // PORTS}", 0)
        link = socket.create_connection(("127.0.0.1", port), timeout=30, source_address=source)
        if place % 3:
            link.sendall(QUESTION[:BEGUN])
        if place % 3 == 2:
            link.shutdown(socket.SHUT_WR)
        made.append(link)
    return made


def drip(links: list[socket.socket], at: int) -> None:
    """Send one byte more on every tenth connection that began a request and stays."""
    for link in links[1::30]:
        with contextlib.suppress(ConnectionError):  # told 408 by now
            link.sendall(QUESTION[BEGUN + at : BEGUN + 1 + at])


def beside(port: int, count: int, *, rounds: int, questions: int) -> tuple[float, float]:
    """Return the p99 in us of one who asks, alone and beside a crowd, the median of `rounds` each."""
    alone, among = [], []
    with socket.create_connection(("127.0.0.1", port), timeout=30) as link:
        asked_us(link, 50)
        for _ in range(rounds):
            alone.append(p99(asked_us(link, questions)))
        links = crowd(port, count)
        try:
            asked_us(link, 50)
            for turn in range(rounds):
                drip(links, turn)
                among.append(p99(asked_us(link, questions)))
        finally:
            for one in links:
                one.close()
    return statistics.median(alone), statistics.median(among)


def test_a_thousand_connections_harm_nobody(running: Tier) -> None:
    had = running.status().counters["rest_connections"]
    beside(running.status().rest_port, 900, rounds=3, questions=100)
    wait_for(lambda: running.status().counters["rest_connections"] == had + 901, "all to be let in")
    assert running.status().counters["rest_turned_away"] == 0


@pytest.mark.long
def test_ten_thousand_connections_harm_nobody(running: Tier) -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 11_000:
        pytest.skip(f"needs 11,000 open files, allowed are {hard}")
    before, during = beside(running.status().rest_port, 10_000, rounds=7, questions=1000)
    print(f"p99 alone {before:.0f} us, beside 10,000 connections {during:.0f} us: {during / before:.2f} x")  # noqa: T201
    assert running.status().counters["rest_turned_away"] == 0
    # Generous, since a machine may be noisy: a sweep or an event that went round all of them would be far beyond.
    assert during < 10 * before + 2000
