import json
import math

import numpy as np

from serving.guardrails.promotion import PromotionTest

EVENTS = 10_000


def passed_at(test: PromotionTest, values: np.ndarray) -> int | None:
    for at, value in enumerate(values.tolist(), 1):
        if test.update(value):
            return at
    return None


def non_inferior() -> PromotionTest:
    return PromotionTest(error_rate=0.05, overlap=1, margin_sd=0.1)


def draw(seed: int) -> np.ndarray:
    return np.random.default_rng([31, seed]).standard_t(4, EVENTS) / math.sqrt(2)


def test_equal_version_shows_that_it_is_not_inferior() -> None:
    passed = [passed_at(non_inferior(), draw(s)) for s in range(20)]
    assert sum(at is not None for at in passed) >= 18


def test_version_worse_by_the_margin_is_not_passed() -> None:
    assert sum(passed_at(non_inferior(), draw(s) - 0.1) is not None for s in range(40)) <= 4


def mostly_alike(seed: int, shift: float = 0.0) -> np.ndarray:
    """Differences of two versions that act alike at five decisions out of six."""
    values = np.where(np.random.default_rng([7, seed]).random(EVENTS) < 1 / 6, draw(seed), 0.0)
    return values + shift * values.std()


def test_decisions_on_which_both_act_alike_are_evidence_of_equality() -> None:
    passed = [passed_at(non_inferior(), mostly_alike(s)) for s in range(20)]
    assert sum(at is not None and at < 6000 for at in passed) >= 18


def test_version_worse_by_the_margin_a_decision_is_not_passed_for_acting_alike_otherwise() -> None:
    assert sum(passed_at(non_inferior(), mostly_alike(s, -0.1)) is not None for s in range(40)) <= 4


def test_versions_that_never_differ_are_never_passed() -> None:
    assert passed_at(non_inferior(), np.zeros(EVENTS)) is None


def test_equal_version_is_not_called_superior() -> None:
    superior = [passed_at(PromotionTest(error_rate=0.05, overlap=1, margin_sd=0.0), draw(s)) for s in range(40)]
    assert sum(at is not None for at in superior) <= 4


def test_difference_that_is_no_number_never_passes() -> None:
    test = non_inferior()
    assert not test.update(math.nan)
    assert passed_at(test, draw(1) + 1.0) is None
    assert not test.evidence >= 1.0


def test_saved_and_loaded_test_goes_on_alike() -> None:
    straight, broken = non_inferior(), non_inferior()
    values = draw(3).tolist()
    for value in values[:777]:
        straight.update(value)
        broken.update(value)
    broken = PromotionTest.load(json.loads(json.dumps(broken.save())))
    assert [straight.update(v) for v in values[777:]] == [broken.update(v) for v in values[777:]]
