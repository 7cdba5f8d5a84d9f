"""Figures over several seeds: learnt again with each, stated beside the first one's, which is published."""

from pathlib import Path

import numpy as np
import pytest

from data_contracts.manifest import Estimate, SeedSpread, Spread
from market_data.reading import read_recordings
from market_data.simulator import simulate
from models.evaluation import evaluate
from models.families import family
from models.seeds import hangs_on_seed
from pipelines.identity import build_key, learn_key, rows_key, tune_key
from pipelines.request import TrainRequest, changed
from pipelines.steps.compress import compress
from pipelines.steps.dataset import Prepared, prepare
from pipelines.steps.fit import fit
from pipelines.steps.seeds import over_seeds
from pipelines.steps.version import build_version

REQUEST = TrainRequest(model="seeds", families=("xgboost",), folds=2, trials=1, seed=4, seeds=3)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    path = tmp_path_factory.mktemp("itch") / "day.itch"
    simulate(path, seed=3, events=4000)
    return prepare(read_recordings(path), REQUEST)


def spread(name: str, prepared: Prepared) -> SeedSpread:
    kind = family(name)
    return over_seeds(kind, fit(kind, kind.default(), prepared, seed=4), prepared, seed=4, seeds=3)


def test_spread_reaches_from_the_lowest_to_the_highest_seed(prepared: Prepared) -> None:
    found, kind = spread("xgboost", prepared), family("xgboost")
    fits = [fit(kind, kind.default(), prepared, seed=seed) for seed in (4, 5, 6)]
    rows = prepared.held_out
    each = [evaluate(one.model.scores(rows.features), rows, threshold=one.threshold, seed=4) for one in fits]
    mcc = [figures["mcc"].value for figures in each]
    assert found.held_out["mcc"] == Spread(low=min(mcc), mean=float(np.mean(mcc)), high=max(mcc))
    walked = [one.walk_forward["log_loss"].value for one in fits]
    assert found.walk_forward["log_loss"].low == min(walked)
    assert found.walk_forward["log_loss"].high == max(walked)
    assert len(set(mcc)) == 3
    assert (found.seeds, found.published, found.one_optimum) == ((4, 5, 6), 4, False)


def test_family_of_one_optimum_is_asked_twice_and_says_so(prepared: Prepared) -> None:
    found = spread("logistic", prepared)
    assert found.one_optimum
    assert found.held_out["mcc"].low == found.held_out["mcc"].high


def test_first_seed_is_published_with_the_spread_on_its_card(prepared: Prepared, tmp_path: Path) -> None:
    kind = family("xgboost")
    fitted = fit(kind, kind.default(), prepared, seed=4)
    small, found = compress(fitted, prepared, seed=4), spread("xgboost", prepared)
    manifest = build_version(tmp_path / "v", fitted, small, prepared, {}, REQUEST, found)
    assert manifest.seeds == found
    page = (tmp_path / "v" / "model_card.html").read_text()
    assert "learnt with seeds 4, 5, 6" in page
    assert "Published is seed 4, which was named beforehand" in page
    assert f"<td>{found.held_out['mcc'].low:.3g} to {found.held_out['mcc'].high:.3g}" in page
    summary = (tmp_path / "v" / "card.md").read_text()
    assert "| metric | over seeds |" in summary
    assert "1 of this run's own studies; runs are not tracked" in summary


def test_figure_above_zero_with_one_seed_alone_is_called_that() -> None:
    found = {
        "information_coefficient": Estimate(value=0.1, low=0.05, high=0.15),
        "net_pnl_bps": Estimate(value=0.1, low=-0.1, high=0.3),
    }
    over = {name: Spread(low=-0.02, mean=0.04, high=0.1) for name in found}
    seeds = SeedSpread(seeds=(1, 2, 3), published=1, held_out=over, walk_forward={})
    assert hangs_on_seed(found, seeds) == (
        "What it predicts hangs on the seed: information coefficient from -0.02 to 0.1 over 3 of them.",
    )
    assert hangs_on_seed(found, None) == ()


def test_number_of_seeds_changes_the_version_and_nothing_that_is_learnt() -> None:
    more = changed(REQUEST, seeds=5)
    assert rows_key([], more) == rows_key([], REQUEST)
    assert tune_key("rows", more, "xgboost") == tune_key("rows", REQUEST, "xgboost")
    assert learn_key("rows", more, "xgboost") == learn_key("rows", REQUEST, "xgboost")
    assert build_key("rows", more, "xgboost") != build_key("rows", REQUEST, "xgboost")
    assert REQUEST.faster().seeds == 1
