"""A challenger's breaker in a real worker process, as whoever asks over HTTP sees it."""

import http.client
import json
import time
from pathlib import Path

import numpy as np
from onnx import helper
from worker_kit import (
    MODEL,
    Tier,
    ab_route,
    assert_whole,
    linear_graph,
    lineup,
    nan_graph,
    tier,
    wait_for,
    write_version,
)

from benchmarks.versions import WIDTH, save_graph
from data_contracts.journal import Arm
from serving.journal import read_journal

OPEN_MS = 300
SETTINGS = f"{{ failed_of_64 = 2, same_in_a_row = 4, probes = 2, open_ms = {OPEN_MS} }}"
NUMBERS = np.random.default_rng(11)


def stuck_graph(path: Path) -> None:
    """Says the same of whatever has negative features alone."""
    weight = np.abs(np.random.default_rng(4).normal(0, 0.3, (WIDTH, 3))).astype(np.float32)
    nodes = [
        helper.make_node("Relu", ["features"], ["r"]),
        helper.make_node("MatMul", ["r", "w"], ["m"]),
        helper.make_node("Softmax", ["m"], ["output"], axis=1),
    ]
    save_graph(path, nodes, {"w": weight}, outputs=3)


def asked(running: Tier, row: np.ndarray) -> dict[str, object]:
    link = http.client.HTTPConnection("127.0.0.1", running.status().rest_port, timeout=10)
    link.request("POST", "/v1/decide", json.dumps({"model": MODEL, "features": row.tolist()}))
    answer = link.getresponse()
    said: dict[str, object] = json.loads(answer.read())
    link.close()
    assert answer.status == 200, said
    return said


def breaker_is(running: Tier, wanted: str) -> None:
    wait_for(lambda: running.status().slots[1].breaker == wanted, f"the breaker to be {wanted}", seconds=5)


def serve(running: Tier, versions: dict[int, Path]) -> None:
    running.show(lineup(versions))
    running.beat()
    running.routing.publish([ab_route(10_000)])
    running.start()


def test_a_challenger_s_breaker_opens_probes_and_closes_while_the_champion_answers(tmp_path: Path) -> None:
    champion = write_version(tmp_path / "1", linear_graph)
    failing = write_version(tmp_path / "2", nan_graph)
    good = np.zeros(WIDTH)
    with tier(tmp_path / "tier", breakers=SETTINGS) as running:
        serve(running, {1: champion, 2: failing})

        # NaN: the second opens it. Never three in a row: that would be the hard limit, which ends the rollout.
        for row, reason in ((NUMBERS.normal(size=WIDTH), "bad_output"), (good, "none"), (good + 1, "bad_output")):
            said = asked(running, row)
            assert (said["arm"], said["version"], said["reason"]) == ("challenger", 2, reason)
        said = asked(running, NUMBERS.normal(size=WIDTH))
        assert (said["arm"], said["version"], said["reason"]) == ("champion", 1, "none")
        breaker_is(running, "open: failed")

        # A bad probe opens it again, good ones close it.
        time.sleep(OPEN_MS / 1000)
        assert asked(running, NUMBERS.normal(size=WIDTH))["reason"] == "bad_output"
        assert asked(running, good)["arm"] == "champion"
        time.sleep(OPEN_MS / 1000)
        assert asked(running, good)["arm"] == "challenger"
        breaker_is(running, "half_open")
        assert asked(running, good)["arm"] == "challenger"
        breaker_is(running, "closed")
        assert running.status().counters["breakers_opened"] == 2
        assert running.status().counters["trips"] == 0
        running.stop()
        decisions = read_journal(running.journal).decisions
    assert decisions["arm"].tolist() == [Arm(one) for one in (1, 1, 1, 0, 1, 0, 1, 1)]


def test_constant_output_opens_it_and_only_something_else_closes_it(tmp_path: Path) -> None:
    versions = {1: write_version(tmp_path / "1", linear_graph), 2: write_version(tmp_path / "2", stuck_graph)}
    with tier(tmp_path / "tier", breakers=SETTINGS) as running:
        serve(running, versions)

        def negative() -> np.ndarray:
            return -np.abs(NUMBERS.normal(size=WIDTH))

        arms = [asked(running, negative())["arm"] for _ in range(6)]
        assert arms[0] == "challenger"
        assert arms[-1] == "champion"
        assert "champion" not in arms[:4]
        breaker_is(running, "open: constant")
        time.sleep(OPEN_MS / 1000)
        assert asked(running, negative())["arm"] == "challenger"  # the same again: no good probe
        assert asked(running, negative())["arm"] == "champion"
        time.sleep(OPEN_MS / 1000)
        for _ in range(2):
            assert asked(running, np.abs(NUMBERS.normal(size=WIDTH)))["arm"] == "challenger"
        breaker_is(running, "closed")
        assert running.status().counters["breakers_opened"] == 2
        running.stop()
        assert_whole(read_journal(running.journal))
