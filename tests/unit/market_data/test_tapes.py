"""Simulated tapes: the same bytes everywhere, what is refused, the planted edge, memory that stays flat."""

import hashlib
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support.tapes import assert_same_book, replay_tape

from data_contracts.errors import UsageError
from market_data.reading import read_recordings
from market_data.simulator import simulate
from market_data.tapes.model import Change, Flow, Gap, Halt, Loss, Overlap, Skew, Tape, check_tape
from market_data.tapes.named import TAPES, find_tape
from market_data.tapes.truth import planted_ticks, read_tape_truth
from market_data.tapes.write import branching_matrix, write_tape
from native import _native

GOLDEN = {
    "calm": "a713d828d9762e26",
    "trending": "557366c6a18fad43",
    "flash-crash": "b9c433239310ba68",
    "halt-and-reopen": "572e4b1edc3ea31b",
    "ten-fold-burst": "87bda42aa38f1c89",
    "feed-gap": "02f0b29eeee9ad4f",
    "duplicated-and-reordered": "5bab1829f520f80b",
    "crossed-and-locked": "f2912f213ed20775",
    "stale-feed": "a56e623f54a046d1",
    "clock-skew": "5f62ec57c70daf85",
    "regime-change": "5c5d8aa33eee0694",
    "thin-night": "90e6de9d15e85e44",
}
GOLDEN_OF_SIMULATE = "66ef327bc2bad976"


@pytest.mark.parametrize("name", TAPES)
def test_bytes_of_seed_one_are_the_same_everywhere(tmp_path: Path, name: str) -> None:
    truth = write_tape(tmp_path / name, TAPES[name], seed=1).truth
    assert truth.sha256 == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    assert truth.sha256[:16] == GOLDEN[name]


def test_bytes_of_the_signal_market_are_the_same_everywhere(tmp_path: Path) -> None:
    simulate(tmp_path / "a.itch50", seed=1, seconds=600)
    assert hashlib.sha256((tmp_path / "a.itch50").read_bytes()).hexdigest()[:16] == GOLDEN_OF_SIMULATE


def test_seeds_and_stocks_differ(tmp_path: Path) -> None:
    calm = TAPES["calm"]
    one, again, other = (write_tape(tmp_path / f"{i}", calm, seed=seed).truth for i, seed in enumerate((1, 1, 2)))
    assert one == again
    assert one.sha256 != other.sha256
    both = write_tape(tmp_path / "two", calm, seed=1, stocks=2).truth
    assert both.stocks[0].signal == one.stocks[0].signal  # a stock more changes nothing for the first
    assert abs(np.corrcoef(both.stocks[0].signal, both.stocks[1].signal)[0, 1]) < 0.5


def test_each_of_several_stocks_has_its_own_book(tmp_path: Path) -> None:
    for locate in (1, 3):
        assert_same_book(replay_tape(tmp_path, TAPES["halt-and-reopen"], locate=locate, stocks=3, seconds=230))


def test_truth_is_written_beside(tmp_path: Path) -> None:
    made = write_tape(tmp_path / "a.itch50", TAPES["regime-change"], seed=3)
    assert read_tape_truth(tmp_path / "a.itch50") == made.truth
    assert len(made.touches) == 0  # not asked for
    with pytest.raises(UsageError, match=r"truth\.json"):
        read_tape_truth(tmp_path / "b.itch50")


def test_planted_edge_is_the_one_that_a_long_tape_shows(tmp_path: Path) -> None:
    tape = Tape(name="long", seconds=20_000)
    truth = write_tape(tmp_path / "long.itch50", tape, seed=2).truth
    edge = truth.stocks[0].edge
    assert edge.planted_ticks == pytest.approx(0.25 * 10 * (1 - np.exp(-0.5)))
    assert edge.standard_error_ticks < 0.05
    # The book follows the efficient price by a second or two, which the mid's move shows.
    assert abs(edge.measured_ticks - edge.planted_ticks) < 0.15 * edge.planted_ticks + 3 * edge.standard_error_ticks
    assert 0.25 < edge.correlation < 0.6
    # The efficient price alone has exactly this edge.
    stock = truth.stocks[0]
    signal, price = np.array(stock.signal), np.array(stock.efficient_ticks)
    slope = np.polyfit(signal[:-5], price[5:] - price[:-5], 1)[0]
    assert slope == pytest.approx(edge.planted_ticks, abs=0.08)


def test_without_an_edge_there_is_none(tmp_path: Path) -> None:
    tape = Tape(name="none", seconds=10_000, flow=Flow(edge_ticks_per_s=0.0))
    edge = write_tape(tmp_path / "none.itch50", tape, seed=2).truth.stocks[0].edge
    assert edge.planted_ticks == 0
    assert abs(edge.measured_ticks) < 3.5 * edge.standard_error_ticks


def test_informed_traders_are_on_the_right_side(tmp_path: Path) -> None:
    shares = []
    for informed in (0.0, 0.6):
        flow = Flow(informed_share=informed, branching=0.2)
        path = tmp_path / f"{informed}.itch50"
        truth = write_tape(path, Tape(name="t", seconds=5_000, flow=flow), seed=4).truth
        (day,) = read_recordings(path, instrument="SIM:RING")
        trades = day.events[day.events["trade_lots"] != 0]
        second = ((trades["event_ns"] - truth.start_ns) // 10**9).astype(int)
        signal = np.array(truth.stocks[0].signal)[second]
        shares.append(np.mean(np.sign(trades["trade_lots"]) == np.sign(signal)))
    assert abs(shares[0] - 0.5) < 0.03
    assert shares[1] > 0.6


def test_share_of_excited_arrivals_is_the_branching_ratio(tmp_path: Path) -> None:
    for flow, ratio in ((Flow(branching=0.6), 0.6), (Flow(branching=0.3), 0.3), (Flow(arrivals="poisson"), 0.0)):
        truth = write_tape(tmp_path / "t", Tape(name="t", seconds=4_000, flow=flow), seed=5).truth
        stock = truth.stocks[0]
        assert truth.branching_ratio == ratio
        # An arrival that finds nothing to cancel or take does not take place, hence the tolerance.
        assert stock.excited / stock.arrivals == pytest.approx(ratio, abs=0.02)


def test_hawkes_clusters_where_poisson_does_not(tmp_path: Path) -> None:
    spread = []
    for arrivals in ("poisson", "hawkes"):
        tape = Tape(name="t", seconds=3_000, flow=Flow(arrivals=arrivals))
        day = replay_tape(tmp_path, tape, seed=6)
        per_second = np.bincount(((day.events["event_ns"] - day.truth.start_ns) // 10**9).astype(int))
        spread.append(per_second.var() / per_second.mean())
    assert spread[1] > 1.5 * spread[0]


@pytest.mark.parametrize(
    ("tape", "message"),
    [
        (Tape(name="t", flow=Flow(branching=1.0)), r"flow.branching: expected a ratio from 0 to below 1, got 1"),
        (Tape(name="t", flow=Flow(branching=float("nan"))), r"flow.branching"),
        (Tape(name="t", flow=Flow(market_rate=0.0)), r"flow.market_rate: expected over 0, got 0.0"),
        (Tape(name="t", flow=Flow(informed_share=1.5)), r"flow.informed_share"),
        (Tape(name="t", flow=Flow(limit_decay=1.0)), r"flow.limit_decay"),
        (Tape(name="t", flow=Flow(start_ticks=5)), r"flow.start_ticks"),
        (Tape(name="t", seconds=0), r"seconds: expected over 0"),
        (Tape(name="t", seconds=60_000), r"seconds: expected over 0 and at most 52199"),
        (Tape(name="t", what=(Change(start_s=5, end_s=4),)), r"change 1: end_s: expected after start_s, 5, got 4"),
        (Tape(name="t", what=(Change(start_s=5, market=-1),)), r"change 1: market"),
        (Tape(name="t", what=(Halt(start_s=5, quote_s=4, end_s=9),)), r"halt 1: quote_s"),
        (Tape(name="t", what=(Overlap(start_s=1, end_s=2, shares=0),)), r"overlap 1: shares"),
        (Tape(name="t", what=(Skew(start_s=1, ppm=float("nan")),)), r"skew 1"),
        (Tape(name="t", what=(Gap(start_s=1, messages=0),)), r"gap 1: messages"),
        (Tape(name="t", what=(Loss(start_s=1, end_s=2, share=2),)), r"loss 1: share: expected from 0 to 1, got 2"),
    ],
)
def test_tapes_out_of_bounds_are_refused(tape: Tape, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_tape(tape)


def test_faults_of_packets_need_packets(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="tape feed-gap is about packets: expected format moldudp64, got itch50"):
        write_tape(tmp_path / "x", TAPES["feed-gap"], seed=1, format="itch50")
    with pytest.raises(UsageError, match="expected seed >= 0"):
        write_tape(tmp_path / "x", TAPES["calm"], seed=-1)
    with pytest.raises(UsageError, match="No such file"):
        write_tape(tmp_path / "absent" / "x", TAPES["calm"], seed=1)


def test_native_refuses_a_matrix_that_explodes() -> None:
    matrix = np.array(branching_matrix(TAPES["calm"]))
    assert _native.branching_ratio(matrix.tolist()) == pytest.approx(0.6)
    with pytest.raises(ValueError, match="ratio below 1"):
        _native.hawkes_events(baseline=[1.0] * 6, branching=(2 * matrix).tolist(), decay_per_s=1, seconds=1, seed=1)


def test_tape_of_ones_own_comes_from_toml(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\nseconds = 60\n[flow]\nactivity = 2.0\narrivals = "poisson"\n'
        '[[what]]\nkind = "halt"\nstart_s = 20\nquote_s = 30\nend_s = 40\n'
        '[[what]]\nkind = "loss"\nstart_s = 0\nend_s = 60\nshare = 0.5\n'
    )
    tape = find_tape(str(file))
    assert tape.what == (Halt(start_s=20, quote_s=30, end_s=40), Loss(start_s=0, end_s=60, share=0.5))
    replayed = replay_tape(tmp_path, tape)
    assert assert_same_book(replayed)  # line B has everything
    assert replayed.truth.packets.lost == ()
    for name, expected in (("nothing", "expected calm, "), (str(tmp_path / "no.toml"), "No such file")):
        with pytest.raises(UsageError, match=expected):
            find_tape(name)
    file.write_text('name = "mine"\n[[what]]\nkind = "earthquake"\n')
    with pytest.raises(UsageError, match=r"expected a tape: .*earthquake"):
        find_tape(str(file))


def test_messages_bound_the_tape(tmp_path: Path) -> None:
    truth = write_tape(tmp_path / "x.itch50", TAPES["calm"], seed=1, messages=2_000).truth
    assert 2_000 <= truth.messages < 2_010
    assert truth.seconds < 100


def test_planted_ticks_of_a_long_horizon_end_at_what_the_signal_holds() -> None:
    assert planted_ticks(Flow(), 1e6) == pytest.approx(0.25 * 10)
    assert planted_ticks(Flow(), 1e-3) == pytest.approx(0.25e-3, rel=1e-3)


_FLAT = """
import resource, sys
from market_data.tapes.model import Flow, Tape
from market_data.tapes.write import write_tape
tape = Tape(name="day", seconds=20_000, flow=Flow(activity=500.0))
for messages in (100_000, 600_000):
    write_tape("/dev/null" if sys.argv[1] == "null" else sys.argv[1], tape, seed=1, messages=messages)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_stays_flat_however_long_the_tape(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", _FLAT, str(tmp_path / "day.itch50")]
    answer = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True, timeout=60)
    short_kib, long_kib = map(int, answer.stdout.split())
    assert long_kib - short_kib < 6_000  # the bytes are 19 MB
    assert (tmp_path / "day.itch50").stat().st_size > 15_000_000


def test_tapes_are_data(tmp_path: Path) -> None:
    for tape in TAPES.values():
        check_tape(tape)
        assert msgspec.json.decode(msgspec.json.encode(tape), type=Tape) == tape
