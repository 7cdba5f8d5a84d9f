"""A simulated tape with everything going wrong, through a real worker: it abstains there, for the right reason."""

from pathlib import Path

import numpy as np
from support.tapes import replay_tape
from worker_kit import ab_route, linear_graph, lineup, tier, write_version

from data_contracts.journal import AbstainReason
from market_data.tapes.model import Gap, Halt, Hold, Overlap, Tape
from serving.journal import read_journal

TROUBLE = Tape(
    name="trouble",
    seconds=150,
    what=(
        Overlap(start_s=30, end_s=32, ticks=2, shares=100_000),
        Halt(start_s=50, quote_s=60, end_s=75),
        Hold(start_s=90, end_s=110),
        Gap(start_s=130, messages=20),
    ),
)


def test_worker_abstains_wherever_the_tape_forbids_acting(tmp_path: Path) -> None:
    replayed = replay_tape(tmp_path, TROUBLE)
    buys = write_version(tmp_path / "1", lambda path: linear_graph(path, bias=(0.0, 0.0, 90.0)))
    with tier(tmp_path / "tier") as running:
        running.show(lineup({1: buys}, loss_budget_bps=1e9))
        running.beat()
        running.routing.publish([ab_route(0, challenger_version=0)])
        running.start()
        feed = running.feed(instruments=[replayed.day.instrument])
        feed.events(replayed.events)
        feed.end()
        feed.close()
        running.stop()
        decisions = read_journal(running.journal).decisions
    assert len(decisions) == len(replayed.events)
    at_s = (decisions["event_ns"] - replayed.truth.start_ns) / 1e9

    def reasons(start_s: float, end_s: float) -> set[int]:
        return set(decisions["abstain"][(at_s >= start_s) & (at_s < end_s)].tolist())

    assert AbstainReason.CROSSED in reasons(30, 32)
    assert reasons(50, 60) == {AbstainReason.HALTED}
    assert reasons(60, 75) == {AbstainReason.AUCTION}
    assert reasons(90, 104.9) == {AbstainReason.STALE}  # more than 5 s old when it came
    assert reasons(131, 150) == {AbstainReason.GAP}
    for calm in ((20, 29.9), (33, 49.9), (76, 89.9), (111, 129.9)):
        assert reasons(*calm) == {AbstainReason.NONE}, calm
    acted = decisions["action"] != 0
    assert acted.sum() > 200
    assert np.array_equal(acted, decisions["abstain"] == AbstainReason.NONE)
