"""A hard limit on a live tier: from the next decision, not from the controller's next turn."""

from pathlib import Path

import pytest

from benchmarks.rollouts.experiments import hard_limit


@pytest.mark.slow
def test_no_decision_is_the_challengers_after_its_limit_tripped_in_ab(tmp_path: Path) -> None:
    measured = hard_limit(tmp_path, 2, lambda seed: None)
    assert measured["ours"] == 0
    assert measured["verdicts"] == {"rolled_back limit:loss_budget": 2}
