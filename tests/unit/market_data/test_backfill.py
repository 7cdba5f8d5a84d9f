"""Backfill: every recording of an archive once, again only where the set or the recording has changed."""

from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from support.markets import fitted, leader_of, levels_of, recording_of

from data_contracts.errors import UsageError
from data_contracts.market_event import MARKET_EVENT, MarketEvents
from data_contracts.recording import Recording
from market_data import backfill as module
from market_data.backfill import backfill, hash_of
from market_data.feature_sets import DEPTH_V1, MICROPRICE, QUOTES_V1, TOUCH_V1, feature_set
from market_data.features import compute_features
from market_data.stores.parquet_archive import ParquetArchive

DAY_NS = 86_400 * 10**9


def day(number: int, count: int = 300) -> MarketEvents:
    rng = np.random.default_rng(number)
    events = np.zeros(count, dtype=MARKET_EVENT)
    events["event_ns"] = number * DAY_NS + np.cumsum(rng.integers(1, 10**9, count))
    events["sequence"] = np.arange(count)
    events["bid_ticks"] = 10_000 + np.cumsum(rng.integers(-2, 3, count))
    events["ask_ticks"] = events["bid_ticks"] + rng.integers(1, 4, count)
    events["bid_lots"], events["ask_lots"] = rng.integers(1, 50, (2, count))
    return events


@pytest.fixture
def recordings() -> list[Recording]:
    return [recording_of(day(number), levels_of(day(number), number)) for number in (20_000, 20_001)]


@pytest.fixture
def archive(tmp_path: Path, recordings: list[Recording]) -> Path:
    store = ParquetArchive(tmp_path / "archive")
    for recording in recordings:
        store.write(recording)
    return tmp_path / "archive"


def test_backfill_holds_what_the_recordings_give_and_is_done_once(archive: Path, recordings: list[Recording]) -> None:
    out = archive / "features"
    done = backfill(archive, TOUCH_V1, out)
    assert [one.made for one in done] == [True, True]
    for one, recording in zip(done, recordings, strict=True):
        table = pq.read_table(out / one.path)
        matrix, ready = compute_features(recording, TOUCH_V1)
        assert np.array_equal(table["ready"], ready)
        assert all(np.array_equal(table[name], matrix[:, n]) for n, name in enumerate(TOUCH_V1.features))
        assert hash_of(out / one.path) == TOUCH_V1.hash
    assert [one.made for one in backfill(archive, TOUCH_V1, out)] == [False, False]
    assert len(ParquetArchive(archive).read("TEST:X")) == 2  # the archive does not take them for recordings


def test_changed_set_takes_the_old_ones_place_and_another_set_stands_beside_it(archive: Path) -> None:
    first = fitted("depth_v1")
    second = msgspec.structs.replace(DEPTH_V1, tables={MICROPRICE: (0.0,) * 50})
    out = archive / "features"
    before = backfill(archive, first, out)
    backfill(archive, QUOTES_V1, out)
    after = backfill(archive, second, out)
    assert [one.path for one in after] == [one.path for one in before]
    assert all(one.made and hash_of(out / one.path) == second.hash for one in after)
    assert sorted(path.name for path in out.iterdir()) == ["set=depth_v1", "set=quotes_v1"]


def test_backfill_that_was_cut_off_goes_on_and_leaves_nothing_half_made(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, made = archive / "features", []

    def once(*given: object) -> object:
        made.append(given)
        if len(made) == 2:
            raise KeyboardInterrupt
        return compute(*given)

    compute = module.features_table
    monkeypatch.setattr(module, "features_table", once)
    with pytest.raises(KeyboardInterrupt):
        backfill(archive, TOUCH_V1, out)
    assert len(list(out.rglob("*.parquet"))) == 1
    assert [one.made for one in backfill(archive, TOUCH_V1, out)] == [False, True]
    damaged = sorted(out.rglob("*.parquet"))[0]
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert [one.made for one in backfill(archive, TOUCH_V1, out)] == [True, False]


def test_features_of_a_replaced_recording_go(archive: Path, recordings: list[Recording]) -> None:
    out = archive / "features"
    backfill(archive, TOUCH_V1, out)
    changed = recordings[0].events.copy()
    changed["bid_lots"] += 1
    ParquetArchive(archive, replace=True).write(recording_of(changed))
    assert [one.made for one in backfill(archive, TOUCH_V1, out)] == [True, False]
    assert len(list(out.rglob("*.parquet"))) == 2


def test_leader_comes_from_the_archive_and_gets_no_features(archive: Path, recordings: list[Recording]) -> None:
    features = feature_set("lead_lag_v1=TEST:L")
    with pytest.raises(UsageError, match="TEST:L: expected events beside"):
        backfill(archive, features, archive / "features")
    leaders = [recording_of(leader_of(each.events, 1), symbol="TEST:L") for each in recordings]
    for leader in leaders:
        ParquetArchive(archive).write(leader)
    done = backfill(archive, features, archive / "features")
    assert len(done) == 2
    matrix, _ = compute_features(recordings[1], features, [leaders[1]])
    pull = pq.read_table(archive / "features" / done[1].path)["leader_pull_bps"]
    assert np.array_equal(pull, matrix[:, features.features.index("leader_pull_bps")])


def test_no_archive_and_no_such_instrument_are_refused(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected an archive of recordings, found none"):
        backfill(tmp_path / "nowhere", TOUCH_V1, tmp_path / "out")
    with pytest.raises(UsageError, match="expected one of TEST:X, got TEST:Y"):
        backfill(archive, TOUCH_V1, tmp_path / "out", instrument="TEST:Y")
