"""Outcomes posted over HTTP for what a real worker decided: joined, counted, and added up as a plain loop does."""

import time
from collections import defaultdict
from pathlib import Path

import httpx
import pytest
from controlled import Controlled, controlled
from worker_kit import MODEL, linear_graph, touch_events, wait_for, write_version

from data_contracts.journal import Arm, MarkoutStatus
from data_contracts.policy import HardLimits, Policy, Rollout, Step
from serving.journal import read_journal
from serving.outcomes.cells import BY, table_by
from serving.outcomes.ledger import book_of

STEPS = (Step(share=0.0, min_decisions=50), Step(share=0.5, min_decisions=1_000_000))
POLICY = Policy(rollout=Rollout(steps=STEPS), limits=HardLimits(late_or_failed_of_64=64, loss_budget_bps=1e12))
LIST = 500


def decide(ours: Controlled) -> None:
    """Let both versions trade: some hundred decisions after each has."""
    feed, sent, over = ours.running.feed(), 0, 0
    traders = set()
    while sent < 40_000 and (traders != {"champion", "challenger"} or sent < over + 300):
        feed.events(touch_events(20, start=sent))
        sent += 20
        if traders != {"champion", "challenger"}:
            traders, over = {row.arm for row in ours.controller.pnl(("arm",)) if row.sums.trades}, sent
        time.sleep(0.01)
    assert feed.end()["decisions"] == sent
    feed.close()
    wait_for(lambda: sum(row.sums.decisions for row in ours.controller.pnl(())) == sent, "every decision to be read")


def traded(ours: Controlled) -> dict[int, tuple[int, str, float | None]]:
    """Every decision that acted, as its trading system may know it: version, arm, and paper in bps where it has one."""
    journal = read_journal(ours.running.journal)
    ok = {int(m["decision_id"]): m for m in journal.markouts if m["status"] == MarkoutStatus.OK and not m["horizon"]}
    found = {}
    for row in journal.decisions[journal.decisions["action"] != 0]:
        number, side = int(row["decision_id"]), "buy_pnl_bps" if row["action"] > 0 else "sell_pnl_bps"
        paper = float(ok[number][side]) if number in ok else None
        found[number] = (int(row["version"]), Arm(int(row["arm"])).name.lower(), paper)
    return found


def outcome(number: int, **changes: object) -> dict[str, object]:
    posted = {"outcome_id": f"r-{number}", "decision_id": number, "model": MODEL, "kind": "realised", "time_ns": 1}
    return {**posted, "pnl_bps": number % 7 - 3.0, "pnl_usd": number / 4, **changes}


def test_what_is_posted_for_a_workers_decisions_is_in_the_tables(tmp_path: Path) -> None:
    first = write_version(tmp_path / "1", linear_graph)
    second = write_version(tmp_path / "2", lambda path: linear_graph(path, bias=(0.0, 0.0, 90.0)))  # buys always
    with controlled(tmp_path, POLICY) as ours, httpx.Client(base_url=ours.url, timeout=20) as client:
        ours.deploy("champion", first)
        ours.deploy("challenger", second)
        decide(ours)
        trades = traded(ours)
        idle = next(n for n in range(1, max(trades)) if n not in trades)
        posted = sorted(trades)[::2]
        for start in range(0, len(posted), LIST):
            said = client.post("/v1/outcomes", json=[outcome(number) for number in posted[start : start + LIST]])
            assert said.status_code == 200
            assert {one["status"] for one in said.json()["results"]} == {"accepted"}
        one, other = posted[0], sorted(trades)[1]
        fill = outcome(other, kind="fill", price="25000.0", lots=1, side="buy") | {"outcome_id": "f", "fee_bps": 0.1}
        del fill["pnl_bps"], fill["pnl_usd"]
        for body, status, rule in [
            (outcome(one), 200, "duplicate"),
            (outcome(one, pnl_bps=99.0), 409, "contradictory"),
            (outcome(one, outcome_id="again"), 409, "contradictory"),
            (outcome(10**6), 202, "unknown"),
            (outcome(idle), 201, "accepted"),
            (outcome(other, outcome_id="elsewhere", model="another"), 201, "accepted"),
            (fill, 201, "accepted"),
        ]:
            said = client.post("/v1/outcomes", json=body)
            assert (said.status_code, said.json()["status"]) == (status, rule), body
        assert client.post("/v1/outcomes", json={"outcome_id": "x"}).status_code == 400
        counts = {"matched": len(posted) + 1, "duplicate": 1, "contradictory": 2, "unknown": 1, "not_acted": 1}
        counts |= {"wrong_model": 1, "malformed": 1, "accepted": len(posted) + 4, "late": 0, "waiting": 0}

        def told() -> dict[str, int]:
            return client.get("/api/snapshot").json()["outcomes"]["counts"]

        wait_for(lambda: {name: told()[name] for name in counts} == counts, f"{counts}, got {told()}")
        assert 'ringcraft_outcomes_total{rule="contradictory"} 2.0' in client.get("/metrics").text
        rows = client.get("/api/pnl", params={"by": "version,arm"}).json()["rows"]
        sums: dict[tuple[int, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for number, (version, arm, paper) in trades.items():
            cell, is_posted = sums[version, arm], number in posted
            cell["trades"] += 1
            cell["paper"] += paper is not None
            cell["paper_bps"] += paper or 0.0
            cell["realised"] += is_posted
            cell["realised_bps"] += is_posted * (number % 7 - 3.0)
            cell["realised_usd"] += is_posted * number / 4
            cell["both"] += is_posted and paper is not None
            cell["fills"] += number == other
        assert set(sums) == {(1, "champion"), (2, "challenger")}
        for row in rows:
            wanted = sums[row["version"], row["arm"]]
            assert {name: row["sums"][name] for name in wanted} == pytest.approx(dict(wanted)), row
        live = ours.controller.pnl(BY)
    offline = book_of(ours.running.journal, POLICY.reconciliation)
    assert table_by(offline.cells.items(), BY) == live
