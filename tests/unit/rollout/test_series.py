from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from serving.rollout.series import POINTS_MAX, Point, Series


def series_of(count: int) -> Series:
    series = Series()
    for number in range(1, count + 1):
        if series.due():
            series.add(Point(number, number, number, (0.0,), 0.0, 0.0))
    return series


@given(st.integers(1, 20_000))
def test_points_are_few_and_evenly_spread_over_everything(count: int) -> None:
    places = [point.folded for point in series_of(count).points]
    assert len(places) < POINTS_MAX
    steps = {after - before for before, after in pairwise(places)}
    assert len(steps) <= 1
    assert places[0] <= max(steps, default=1)
    assert count - places[-1] < max(steps, default=1)
    assert len(places) >= min(count, POINTS_MAX // 2 - 1)


def test_the_last_one_is_kept_once_whatever_its_place() -> None:
    series = series_of(1000)
    assert series.points[-1].folded == 1000 - 1000 % 2
    last = Point(1001, 1001, 1001, (1.0,), 0.0, 0.0)
    series.close(last)
    series.close(last)
    assert [point.folded for point in series.points[-2:]] == [1000, 1001]
