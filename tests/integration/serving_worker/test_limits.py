"""Limits that hold on the event, inside the worker: real models, a real feed, read back from the journal."""

from pathlib import Path

import numpy as np
import pytest
from worker_kit import (
    HORIZON_NS,
    IF,
    Tier,
    ab_route,
    linear_graph,
    lineup,
    nan_graph,
    slow_graph,
    tier,
    touch_events,
    write_version,
)

from data_contracts.journal import AbstainReason, Arm, MarkoutStatus, Phase, RecordType, TripKind
from data_contracts.manifest import DataRange
from data_contracts.policy import Policy
from market_data.feature_sets import TOUCH_V1
from native._native import Route
from serving.journal import Journal, read_journal
from serving.rollout.events import Concluded
from serving.rollout.fold import JournalFold

EVENTS = 1500
LOT_TICK_VALUE = 0.2  # IF's tick size x lot size x multiplier, in worker_kit


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    root = tmp_path_factory.mktemp("versions")
    buys = write_version(root / "1", lambda path: linear_graph(path, bias=(0.0, 0.0, 90.0)))
    return {1: buys, 2: write_version(root / "2", lambda path: linear_graph(path, bias=(90.0, 0.0, 0.0)))}


def served(folder: Path, versions: dict[int, Path], share_bps: int = 5000, **limits: object) -> Journal:
    """What a worker with these limits journals of a walk of two events a second."""
    with tier(folder) as running:
        running.show(lineup(versions, **limits))
        running.beat()
        running.routing.publish([ab_route(share_bps)])
        running.start()
        _feed(running, touch_events(EVENTS))
        running.stop()
        return read_journal(running.journal)


def _feed(running: Tier, events: np.ndarray) -> None:
    feed = running.feed()
    feed.events(events)
    feed.end()
    feed.close()


def open_lots(journal: Journal) -> np.ndarray:
    """Net open lots after each decision: its own action, and those before whose horizon has not passed."""
    due = {one["decision_id"]: one["resolved_event_ns"] for one in journal.markouts}
    decisions = journal.decisions
    ends = np.array([due[one] for one in decisions["decision_id"]])
    actions = decisions["action"].astype(int)
    # A horizon has passed at the first event after it.
    return np.array([(actions[: i + 1] * (ends[: i + 1] >= at)).sum() for i, at in enumerate(decisions["event_ns"])])


def test_position_never_goes_beyond_its_limit(tmp_path: Path, versions: dict[int, Path]) -> None:
    free = served(tmp_path / "free", {1: versions[1], 2: versions[1]})
    assert open_lots(free).max() == 5  # bought at every event, two seconds at two events a second, both ends in
    held = served(tmp_path / "held", {1: versions[1], 2: versions[1]}, position_lots_max=3)
    lots, decisions = open_lots(held), held.decisions
    limited = decisions["abstain"] == AbstainReason.POSITION_LIMIT
    assert lots.max() == 3
    assert set(lots[limited]) == {3}
    assert limited.sum() > 100
    assert not decisions["action"][limited].any()
    assert np.isfinite(decisions["output_2"][limited]).all()  # what it would have done is kept
    shadows = held.select(RecordType.SHADOW)
    room = dict(zip(decisions["decision_id"].tolist(), limited.tolist(), strict=True))
    # Both versions always buy: who only watches is held to the same room as who acts.
    assert all((one["abstain"] == AbstainReason.POSITION_LIMIT) == room[one["decision_id"]] for one in shadows)


def test_position_keeps_to_its_limit_while_both_sides_come_and_go(tmp_path: Path, versions: dict[int, Path]) -> None:
    journal = served(tmp_path, versions, position_lots_max=1)  # one version buys, the other sells
    lots, decisions = open_lots(journal), journal.decisions
    assert (lots.min(), lots.max()) == (-1, 1)
    assert {-1, 1} <= set(decisions["action"])
    assert (decisions["abstain"] == AbstainReason.POSITION_LIMIT).sum() > 100


def test_open_value_never_goes_beyond_its_limit(tmp_path: Path, versions: dict[int, Path]) -> None:
    limit = 3.5 * 25_000 * LOT_TICK_VALUE
    journal = served(tmp_path, {1: versions[1], 2: versions[1]}, notional_max=limit)
    lots, decisions = open_lots(journal), journal.decisions
    mids = (decisions["bid_ticks"] + decisions["ask_ticks"]) / 2
    acted = decisions["action"] != 0
    assert (lots[acted] * mids[acted] * LOT_TICK_VALUE <= limit).all()
    assert lots.max() == 3
    assert (decisions["abstain"] == AbstainReason.NOTIONAL_LIMIT).sum() > 100


def test_no_more_decisions_a_second_than_allowed(tmp_path: Path, versions: dict[int, Path]) -> None:
    decisions = served(tmp_path, versions, decisions_per_second_max=0.5).decisions
    answered = decisions[decisions["abstain"] == AbstainReason.NONE]
    limited = decisions[decisions["abstain"] == AbstainReason.RATE_LIMIT]
    assert len(limited) == pytest.approx(3 * len(answered), rel=0.02)
    assert (np.diff(answered["event_ns"]) >= 2_000_000_000).all()


def test_model_that_grows_too_old_abstains_from_that_event_on(tmp_path: Path, versions: dict[int, Path]) -> None:
    events = touch_events(EVENTS)
    stale_from = int(events["event_ns"][1000])
    data = DataRange(
        source="walk",
        instrument=IF.symbol,
        fingerprint="0" * 64,
        first_event_ns=0,
        last_event_ns=stale_from - 86_400_000_000_000,
        events=1,
    )
    aged = write_version(tmp_path / "aged", linear_graph, data=(data,))
    fresh = write_version(tmp_path / "fresh", linear_graph, data=(DataRange(**_later(data)),))
    journal = served(tmp_path, {1: fresh, 2: aged}, model_age_max_ns=86_400_000_000_000)
    decisions, shadows = journal.decisions, journal.select(RecordType.SHADOW)
    stale = decisions["abstain"] == AbstainReason.STALE_MODEL
    due = (decisions["arm"] == Arm.CHALLENGER) & (decisions["event_ns"] > stale_from)
    assert due.sum() > 100
    assert (stale == due).all()
    late_ids = set(decisions["decision_id"][decisions["event_ns"] > stale_from].tolist())
    aged_in_shadow = shadows[shadows["version"] == 2]
    said = (aged_in_shadow["abstain"] == AbstainReason.STALE_MODEL).tolist()
    assert said == [one in late_ids for one in aged_in_shadow["decision_id"].tolist()]


def _later(data: DataRange) -> dict[str, object]:
    fields = {name: getattr(data, name) for name in data.__struct_fields__}
    return fields | {"last_event_ns": data.last_event_ns + 86_400_000_000_000}


def test_version_of_unknown_age_does_not_act_where_age_is_limited(tmp_path: Path, versions: dict[int, Path]) -> None:
    decisions = served(tmp_path, versions, model_age_max_ns=10**18).decisions
    assert (decisions["abstain"][-100:] == AbstainReason.STALE_MODEL).all()


def test_challenger_that_falls_too_far_below_its_best_is_taken_off(tmp_path: Path, versions: dict[int, Path]) -> None:
    budget_bps = 15.0
    journal = served(tmp_path, {1: versions[2], 2: versions[1]}, drawdown_budget_bps=budget_bps)
    (trip,) = journal.select(RecordType.TRIP)
    assert (trip["kind"], trip["limit"], trip["version"]) == (TripKind.DRAWDOWN, budget_bps, 2)
    decisions = journal.decisions
    own = decisions[(decisions["arm"] == Arm.CHALLENGER) & (decisions["action"] != 0)]["decision_id"]
    paid = journal.markouts[(journal.markouts["index"] < trip["index"])]
    mine = paid[np.isin(paid["decision_id"], own) & (paid["status"] == MarkoutStatus.OK)]
    earned = np.cumsum(mine["buy_pnl_bps"])
    fallen = np.maximum.accumulate(np.maximum(earned, 0.0)) - earned
    assert fallen[-1] == pytest.approx(trip["value"])
    assert trip["value"] > budget_bps
    assert (fallen[:-1] <= budget_bps).all()  # at the first event at which it was, not later
    after = decisions["decision_id"] > trip["decision_id"]
    assert after.sum() > 0
    assert not (decisions["arm"][after] == Arm.CHALLENGER).any()


def test_stall_that_makes_both_late_takes_nobody_off(tmp_path: Path) -> None:
    slow = write_version(tmp_path / "slow", lambda path: slow_graph(path, layers=3, size=500), parity_tolerance=1e-3)
    with tier(tmp_path) as running:
        running.show(lineup({1: slow, 2: slow}, budget_us=20, late_or_failed_of_64=20))
        running.beat()
        running.routing.publish([ab_route(2000)])  # so that the champion is seen to be late first
        running.start()
        _feed(running, touch_events(TOUCH_V1.warm_up_events + 160))
        running.stop()
        journal = read_journal(running.journal)
    late = journal.decisions[journal.decisions["late"] == 1]
    assert (late["arm"] == Arm.CHALLENGER).sum() > 20
    assert len(journal.select(RecordType.TRIP)) == 0


def test_extra_horizons_are_journalled_beside_the_label_s(tmp_path: Path, versions: dict[int, Path]) -> None:
    journal = served(tmp_path, versions, extra_horizons_ns=(500_000_000, 10_000_000_000))
    markouts = journal.markouts
    for horizon, expected_ns in ((0, 2_000_000_000), (1, 500_000_000), (2, 10_000_000_000)):
        own = markouts[markouts["horizon"] == horizon]
        assert sorted(own["decision_id"].tolist()) == journal.decisions["decision_id"].tolist()
        marked = own[own["status"] == MarkoutStatus.OK]
        assert set(marked["resolved_event_ns"] - marked["decision_event_ns"]) == {expected_ns}


def test_shadow_that_waited_too_long_is_dropped_and_says_why(tmp_path: Path) -> None:
    slow = write_version(tmp_path / "slow", lambda path: slow_graph(path, layers=3, size=500), parity_tolerance=1e-3)
    quick = write_version(tmp_path / "quick", linear_graph)
    with tier(tmp_path, shadow_deadline_ms=5) as running:
        running.show(lineup({1: quick, 2: slow}))
        running.beat()
        running.routing.publish([ab_route(0, phase=int(Phase.SHADOW))])
        running.start()
        _feed(running, touch_events(EVENTS))
        running.stop()
        counters, journal = running.status().counters, read_journal(running.journal)
    shadows = journal.select(RecordType.SHADOW)
    assert counters["shadows_dropped_overdue"] > 500  # each takes a good part of a millisecond, and all come at once
    assert counters["shadows_dropped"] == counters["shadows_dropped_overdue"] == shadows["dropped"].sum()
    assert len(shadows) == len(journal.decisions) == EVENTS


def bake_route() -> Route:
    """Version 2 is champion on trial, version 1 its control."""
    slots = {"champion_slot": 1, "champion_version": 2, "challenger_slot": 0, "challenger_version": 1}
    return ab_route(0, rollout_id=3, phase=int(Phase.BAKE), **slots)


@pytest.mark.parametrize(("broken", "kind"), [("nan", TripKind.BAD_OUTPUT), ("loss", TripKind.LOSS_BUDGET)])
def test_new_champion_that_breaks_a_limit_in_its_bake_gives_way_to_the_old_one(
    tmp_path: Path, versions: dict[int, Path], broken: str, kind: TripKind
) -> None:
    new = write_version(tmp_path / "2", nan_graph) if broken == "nan" else versions[2]
    limits = {"loss_budget_bps": 0.0} if broken == "loss" else {}
    with tier(tmp_path) as running:
        running.show(lineup({1: versions[1], 2: new}, **limits))
        running.beat()
        running.routing.publish([bake_route()])
        running.start()
        _feed(running, touch_events(EVENTS))
        running.kill()
        running.start()  # what tripped is in the journal, and holds for the next worker
        _feed(running, touch_events(EVENTS, start=EVENTS))
        running.stop()
        journal = read_journal(running.journal)
    (trip,) = journal.select(RecordType.TRIP)
    assert (trip["kind"], trip["version"], trip["arm"], trip["rollout_id"]) == (kind, 2, Arm.CHAMPION, 3)
    decisions = journal.decisions
    before = decisions["decision_id"] <= trip["decision_id"]
    assert set(decisions["version"][before]) == {2}
    assert set(decisions["version"][~before]) == {1}
    assert decisions["action"][~before].any()
    assert len(decisions) > EVENTS
    assert set(journal.select(RecordType.EPOCH)["horizon_ns"]) == {HORIZON_NS}
    (ended,) = [one for one in JournalFold(Policy()).consume(journal.records) if isinstance(one, Concluded)]
    assert (ended.kind, ended.verdict, ended.version) == ("bake", "rolled_back", 2)
    assert ended.decision == trip["decision_id"]
