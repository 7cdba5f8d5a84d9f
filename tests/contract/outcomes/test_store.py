"""What every store of posted outcomes does: SQLite in a file and a real PostgreSQL, by one suite."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import create_engine, text
from support.postgres import Postgres, running_postgres

from data_contracts.errors import OutcomeStoreUnavailableError, UsageError
from data_contracts.outcome import PostedOutcome
from serving.outcomes.port import OutcomeStore
from serving.outcomes.sql_store import SqlOutcomeStore, outcome_url

NOW = 1_700_000_000_000_000_000


def fill(number: int, decision: int = 7, **change: object) -> PostedOutcome:
    whole = {"outcome_id": f"fill-{number}", "decision_id": decision, "model": "m", "kind": "fill", "price": "101.25",
             "lots": 3, "side": "buy", "fee_bps": 0.1, "time_ns": NOW + number, **change}  # fmt: skip
    return msgspec.convert(whole, PostedOutcome)


def realised(number: int, decision: int = 7, **change: object) -> PostedOutcome:
    whole = {"outcome_id": f"real-{number}", "decision_id": decision, "model": "m", "kind": "realised",
             "pnl_bps": 0.1 + number / 3, "time_ns": 2**63 - 1, **change}  # fmt: skip
    return msgspec.convert(whole, PostedOutcome)


def add(store: OutcomeStore, *outcomes: PostedOutcome) -> list[str]:
    return [answer.rule for answer in store.add(outcomes, ["accepted"] * len(outcomes), NOW)]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/outcomes.sqlite"
    server: Postgres = request.getfixturevalue("postgres")
    engine = create_engine(outcome_url(server.url, tmp_path))
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS ringcraft_outcomes, ringcraft_outcome_counts"))
    engine.dispose()
    return server.url


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[SqlOutcomeStore]:
    made = SqlOutcomeStore(outcome_url(url, tmp_path))
    yield made
    made.close()


def test_an_empty_store_says_so(store: OutcomeStore) -> None:
    assert store.after(0) == []
    assert store.of_decisions(0, 100) == []
    assert store.counts() == {"accepted": 0, "duplicate": 0, "contradictory": 0}


def test_what_was_accepted_is_there_bit_for_bit_after_reopening(store: OutcomeStore, url: str, tmp_path: Path) -> None:
    outcomes = [fill(1), realised(1), fill(2, decision=2**63 - 1), realised(2, 9, pnl_bps=None, pnl_usd=-1e-300)]
    answers = store.add(outcomes, ["accepted", "unknown", "accepted", "unknown"], NOW)
    again = SqlOutcomeStore(outcome_url(url, tmp_path))
    kept = again.after(0)
    again.close()
    assert [one.outcome for one in kept] == outcomes
    assert [one.status for one in kept] == ["accepted", "unknown", "accepted", "unknown"]
    assert {one.wall_ns for one in kept} == {NOW}
    assert [one.kept for one in answers] == kept
    assert [one.sequence for one in kept] == sorted({one.sequence for one in kept})
    assert kept[0].sequence >= 1


def test_posted_again_it_is_a_duplicate_and_counts_once(store: OutcomeStore) -> None:
    assert add(store, fill(1), fill(1)) == ["accepted", "duplicate"]
    assert add(store, fill(1), fill(2), realised(1)) == ["duplicate", "accepted", "accepted"]
    assert add(store, realised(1)) == ["duplicate"]
    assert len(store.after(0)) == 3
    assert store.counts() == {"accepted": 3, "duplicate": 3, "contradictory": 0}


@pytest.mark.parametrize(
    ("came", "said"),
    [
        (fill(1, lots=4), "lots: expected 3 as posted first, got 4"),
        (fill(1, decision=8), "decision_id: expected 7 as posted first, got 8"),
        (fill(1, fee_bps=None), "fee_bps: expected 0.1 as posted first, got None"),
        (realised(2), "decision_id: expected one realised outcome, got 'real-2' beside 'real-1'"),
        (realised(1, decision=8), "decision_id: expected 7 as posted first, got 8"),
    ],
)
def test_of_a_contradiction_the_first_one_stands(store: OutcomeStore, came: PostedOutcome, said: str) -> None:
    add(store, fill(1), realised(1))
    (answer,) = store.add([came], ["accepted"], NOW + 1)
    assert (answer.rule, answer.reason) == ("contradictory", said)
    assert [one.outcome for one in store.after(0)] == [fill(1), realised(1)]
    assert store.counts()["contradictory"] == 1


def test_a_contradiction_within_one_list_leaves_the_first(store: OutcomeStore) -> None:
    assert add(store, fill(1), fill(1, lots=9), realised(1), realised(2)) == [
        "accepted", "contradictory", "accepted", "contradictory"]  # fmt: skip
    assert [one.outcome for one in store.after(0)] == [fill(1), realised(1)]


def test_outcomes_are_found_by_decision_and_read_on_by_number(store: OutcomeStore) -> None:
    add(store, *(fill(n, decision=n) for n in range(1, 301)))
    assert [one.outcome.decision_id for one in store.of_decisions(10, 12)] == [10, 11, 12]
    first = store.after(0, limit=100)
    assert [one.outcome.decision_id for one in first] == list(range(1, 101))
    assert [one.outcome.decision_id for one in store.after(first[-1].sequence)] == list(range(101, 301))


def test_many_senders_at_once_keep_each_outcome_once_in_order(store: OutcomeStore) -> None:
    lists = [[fill(n, decision=n) for n in range(start, start + 20)] for start in range(1, 101, 10)]
    with ThreadPoolExecutor(8) as pool:
        rules = [rule for answers in pool.map(lambda one: add(store, *one), lists) for rule in answers]
    assert rules.count("accepted") == 110
    assert rules.count("duplicate") == 200 - 110
    assert len({one.outcome.outcome_id for one in store.after(0)}) == 110


def test_text_is_kept_as_it_is(store: OutcomeStore) -> None:
    strange = fill(1, outcome_id="naïve'; DROP TABLE ringcraft_outcomes; -- 成交 %s :x")
    add(store, strange)
    assert [one.outcome for one in store.of_decisions(7, 7)] == [strange]


def test_a_store_that_cannot_be_reached_says_so_and_comes_back(tmp_path: Path) -> None:
    with running_postgres() as server:
        store = SqlOutcomeStore(outcome_url(server.url, tmp_path))
        assert add(store, fill(1)) == ["accepted"]
        server.stop()
        with pytest.raises(OutcomeStoreUnavailableError, match="postgresql"):
            add(store, fill(2))
        server.start()
        assert add(store, fill(1), fill(2)) == ["duplicate", "accepted"]
        store.close()


@pytest.mark.parametrize("wrong", ["mysql://root@localhost/x", "outcomes.sqlite", "postgresql+asyncpg://h/d"])
def test_another_address_is_refused_in_one_line(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"outcomes\.url: expected sqlite:///FILE or postgresql://USER@HOST/DATABASE"):
        outcome_url(wrong, tmp_path)


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    store = SqlOutcomeStore(outcome_url("postgresql://me:secret@127.0.0.1:1/nothing", tmp_path))
    with pytest.raises(OutcomeStoreUnavailableError) as refusal:
        store.counts()
    assert "secret" not in str(refusal.value)
    assert "me:***@127.0.0.1" in str(refusal.value)
