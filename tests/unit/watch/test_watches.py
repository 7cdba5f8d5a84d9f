"""Each watch on streams of its own: what is well stays quiet, what is amiss is raised, what mends is cleared."""

import json
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pytest

from data_contracts.watch_policy import AbstentionWatch as AbstentionPolicy
from data_contracts.watch_policy import CalibrationWatch as CalibrationPolicy
from data_contracts.watch_policy import DriftWatch as DriftPolicy
from data_contracts.watch_policy import LatencyWatch as LatencyPolicy
from data_contracts.watch_policy import ShareWatch as SharePolicy
from serving.watch.abstentions import AbstentionWatch
from serving.watch.alarm import Watch
from serving.watch.calibration import CalibrationWatch
from serving.watch.drift import DriftWatch, persistence, stability_index
from serving.watch.latency import LatencyWatch
from serving.watch.share import ShareWatch

Stream = Iterable[tuple]
MS = 1_000_000


def changes(watch: Watch, stream: Stream) -> list[tuple[int, bool]]:
    """Return at which decisions the alarm was raised and cleared."""
    found = []
    for at, args in enumerate(stream, 1):
        watch.fold(*args)  # type: ignore[attr-defined]
        changed = watch.settle(at)
        if changed is not None:
            found.append((at, changed))
    return found


def persistent(random: np.random.Generator, count: int, keep: float) -> np.ndarray:
    out, last = np.empty(count), 0.0
    for at, fresh in enumerate(random.standard_normal(count)):
        last = keep * last + (1.0 - keep * keep) ** 0.5 * fresh
        out[at] = last
    return out


# --- streams ----------------------------------------------------------------------------------------------------------


def shares(seed: int, routed: float, served: float, count: int = 6000, amiss: int = 0) -> Iterator[tuple]:
    """As routed, but for the first `amiss` decisions."""
    for at, draw in enumerate(np.random.default_rng(seed).random(count)):
        yield 1, routed, bool(draw < (served if at < amiss else routed)), False


def keyed(seed: int, count: int = 6000) -> Iterator[tuple]:
    """Three keys, each of which goes to one arm for as long as an epoch of a hundred decisions lasts."""
    random = np.random.default_rng(seed)
    arms = random.random(3) < 0.3
    for at in range(count):
        if at % 100 == 0:
            arms = random.random(3) < 0.3
        yield at // 100, 0.3, bool(arms[at % 3]), True


def latencies(seed: int, share: float, ratio: float, count: int = 4000) -> Iterator[tuple]:
    """Log-normal, with a load now and then that slows both fivefold."""
    random = np.random.default_rng(seed)
    load = np.where(persistent(random, count, 0.99) > 2.0, 5.0, 1.0)
    champion = 20_000 * np.exp(random.normal(0, 0.5, count)) * load
    version = 20_000 * np.exp(random.normal(0, 0.5, count)) * load * ratio
    for acts, one, other in zip(random.random(count) < share, champion, version, strict=True):
        yield None if acts else int(one), int(other), share, False


def abstentions(seed: int, mine: float, other: float, run: int, count: int = 6000) -> Iterator[tuple]:
    """Runs of abstentions."""
    random = np.random.default_rng(seed)

    def runs(rate: float) -> np.ndarray:
        found = np.zeros(count, bool)
        for start in np.flatnonzero(random.random(count) < rate / run):
            found[start : start + run] = True
        return found

    return zip(runs(mine).tolist(), runs(other).tolist(), strict=True)


def outputs(seed: int, keep: float, shift: float = 0.0, count: int = 6000, back: int = 10**9) -> Iterator[tuple]:
    """Shifted from decision 3000 until `back`."""
    for at, value in enumerate(persistent(np.random.default_rng(seed), count, keep)):
        yield (float(value + shift * (3000 <= at < back)),)


def predicted(seed: int, slope: float, kind: int = 1, count: int = 6000) -> Iterator[tuple]:
    """What is realised follows what was predicted with this slope, under t3 noise three times as large."""
    random = np.random.default_rng(seed)
    score = persistent(random, count, 0.9)
    for at, (value, noise) in enumerate(zip(score, random.standard_t(3, count), strict=True)):
        said, move = float(value), float(slope * value + 2.0 * noise)
        if kind == 3:
            said = max(-0.9, min(0.9, 0.3 * value))
            move = abs(float(noise)) * (1.0 if random.random() < (1.0 + slope * said) / 2.0 else -1.0)
        yield at * 200 * MS, 1000 * MS, move, (said, kind), None


QUIET: list[tuple[str, Callable[[], Watch], Callable[[int], Stream]]] = [
    ("share", lambda: ShareWatch(SharePolicy()), lambda seed: shares(seed, 0.1, 0.1)),
    ("share by key", lambda: ShareWatch(SharePolicy()), keyed),
    ("latency in shadow", lambda: LatencyWatch(LatencyPolicy(), 1), lambda seed: latencies(seed, 0.0, 1.5)),
    ("latency in A/B", lambda: LatencyWatch(LatencyPolicy(), 1), lambda seed: latencies(seed, 0.3, 1.5)),
    ("abstentions", lambda: AbstentionWatch(AbstentionPolicy()), lambda seed: abstentions(seed, 0.03, 0.03, 10)),
    ("drift", lambda: DriftWatch(DriftPolicy()), lambda seed: outputs(seed, 0.9)),
    ("calibration", lambda: CalibrationWatch(CalibrationPolicy()), lambda seed: predicted(seed, 0.5)),
    ("calibration of P", lambda: CalibrationWatch(CalibrationPolicy()), lambda seed: predicted(seed, 0.5, 3)),
]
AMISS: list[tuple[str, Callable[[], Watch], Callable[[int], Stream], int]] = [
    ("share", lambda: ShareWatch(SharePolicy()), lambda seed: shares(seed, 0.5, 0.4, amiss=6000), 900),
    ("share of none", lambda: ShareWatch(SharePolicy()), lambda seed: shares(seed, 0.1, 0.0, amiss=6000), 150),
    ("latency in shadow", lambda: LatencyWatch(LatencyPolicy(), 1), lambda seed: latencies(seed, 0.0, 4.0), 700),
    ("latency in A/B", lambda: LatencyWatch(LatencyPolicy(), 1), lambda seed: latencies(seed, 0.1, 4.0), 1500),
    ("abstentions", lambda: AbstentionWatch(AbstentionPolicy()), lambda seed: abstentions(seed, 0.1, 0.0, 1), 1000),
    ("drift", lambda: DriftWatch(DriftPolicy()), lambda seed: outputs(seed, 0.0, 1.0), 4000),
    ("calibration", lambda: CalibrationWatch(CalibrationPolicy()), lambda seed: predicted(seed, -0.5), 3000),
    ("calibration of P", lambda: CalibrationWatch(CalibrationPolicy()), lambda seed: predicted(seed, -1.0, 3), 3000),
]
HERE = [3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(("name", "watch", "stream"), QUIET, ids=[case[0] for case in QUIET])
def test_what_is_well_raises_nothing(name: str, watch: Callable[[], Watch], stream: Callable[[int], Stream]) -> None:
    assert [changes(watch(), stream(seed)) for seed in HERE] == [[]] * len(HERE)


@pytest.mark.parametrize(("name", "watch", "stream", "within"), AMISS, ids=[case[0] for case in AMISS])
def test_what_is_amiss_is_raised_in_time(
    name: str, watch: Callable[[], Watch], stream: Callable[[int], Stream], within: int
) -> None:
    first = [next((at for at, raised in changes(watch(), stream(seed)) if raised), 10**6) for seed in HERE]
    assert np.median(first) <= within


@pytest.mark.parametrize(
    ("watch", "stream"),
    [
        (lambda: ShareWatch(SharePolicy()), lambda: shares(1, 0.5, 0.3, count=9000, amiss=1000)),
        (lambda: LatencyWatch(LatencyPolicy(), 1), lambda: [*latencies(1, 0.2, 4.0), *latencies(2, 0.2, 1.0)]),
        (
            lambda: AbstentionWatch(AbstentionPolicy()),
            lambda: [*abstentions(1, 0.1, 0.0, 1, 2000), *abstentions(2, 0.01, 0.01, 1, 4000)],
        ),
        (lambda: DriftWatch(DriftPolicy()), lambda: outputs(1, 0.0, 2.0, back=4500)),
        (
            lambda: CalibrationWatch(CalibrationPolicy(window_decisions=400)),
            lambda: [*predicted(1, -1.0, count=3000), *predicted(2, 1.0, count=6000)],
        ),
    ],
    ids=["share", "latency", "abstentions", "drift", "calibration"],
)
def test_what_mends_is_cleared_and_stays_so(watch: Callable[[], Watch], stream: Callable[[], Stream]) -> None:
    assert [raised for _, raised in changes(watch(), stream())] == [True, False]


@pytest.mark.parametrize(("name", "watch", "stream", "within"), AMISS, ids=[case[0] for case in AMISS])
def test_saved_and_loaded_goes_on_the_same(
    name: str, watch: Callable[[], Watch], stream: Callable[[int], Stream], within: int
) -> None:
    straight, broken = watch(), watch()
    for at, args in enumerate(stream(1), 1):
        if at % 997 == 3:
            fresh = watch()
            fresh.load(json.loads(json.dumps(broken.save())))
            broken = fresh
        straight.fold(*args)  # type: ignore[attr-defined]
        broken.fold(*args)  # type: ignore[attr-defined]
        assert straight.settle(at) == broken.settle(at)
    assert straight.save() == broken.save()
    assert straight.reading() == broken.reading()


def test_share_of_one_is_a_promise_that_few_decisions_break() -> None:
    watch = ShareWatch(SharePolicy())
    assert changes(watch, [(1, 1.0, True, False)] * 500) == []
    ((at, raised),) = changes(watch, [(1, 1.0, False, False)] * 30)
    assert raised
    assert at <= 25


def test_alarm_says_value_limit_and_since_when() -> None:
    watch = ShareWatch(SharePolicy())
    ((at, _),) = changes(watch, shares(1, 0.1, 0.0, amiss=6000, count=300))
    alarm = watch.reading()
    assert (alarm.raised, alarm.since_decision, alarm.value, alarm.limit) == (True, at, 0.0, 0.1)
    assert alarm.text == "took 0.0% of 300 decisions, routed 10.0%"


def test_outputs_that_nobody_can_read_are_not_judged_and_it_is_said() -> None:
    watch = CalibrationWatch(CalibrationPolicy())
    assert changes(watch, [(at, 1000 * MS, 1.0, (0.5, 4), None) for at in range(500)]) == []
    assert (watch.reading().value, watch.reading().text[:9]) == (None, "not known")


def test_bake_is_not_compared_for_latency_and_it_is_said() -> None:
    watch = LatencyWatch(LatencyPolicy(), 1, known=False)
    assert changes(watch, latencies(1, 0.0, 9.0, 1000)) == []
    assert watch.reading().text.startswith("not compared during a bake")


def test_constant_output_that_moves_is_drift() -> None:
    watch = DriftWatch(DriftPolicy(reference_decisions=200, window_decisions=100))
    assert changes(watch, [(0.5,)] * 600) == []
    assert changes(watch, [(0.4,)] * 200) == [(200, True)]


def test_stability_index_is_the_sum_over_bins() -> None:
    expected = sum((c - e) * np.log(c / e) for e, c in ((0.25, 0.5), (0.75, 0.5)))
    assert stability_index([250_000, 750_000], [500_000, 500_000]) == pytest.approx(expected, rel=1e-4)
    assert stability_index([10, 0], [0, 10]) < 6


def test_persistence_tells_streams_apart() -> None:
    random = np.random.default_rng(2)
    assert persistence(random.standard_normal(2000)) < 3
    assert 8 < persistence(persistent(random, 2000, 0.9)) < 60
    assert persistence(np.ones(100)) == 1.0
