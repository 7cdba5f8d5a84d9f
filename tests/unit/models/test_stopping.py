"""Nets stop where the last rows they learn from say so, and keep the epoch that did best there."""

import numpy as np
import pytest
import torch
from planted_data import planted
from torch import nn

from models.families.mlp import Mlp, MlpConfig
from models.families.stopping import GAP_ROWS, PATIENCE, Best, cut_rows
from models.metrics import log_losses


def test_rows_that_say_when_to_stop_are_the_newest_and_stand_apart() -> None:
    assert cut_rows(1000) == (850 - GAP_ROWS, 850)
    assert cut_rows(10, gap=32).learnt == 1


def test_best_epoch_is_kept_and_patience_ends() -> None:
    net = nn.Linear(1, 1, bias=False)
    best = Best(net)
    ended = []
    for number, loss in enumerate([3.0, 1.0, 2.0, 1.5, 1.2, 1.1]):
        with torch.no_grad():
            net.weight.fill_(number)
        ended.append(best.enough(loss))
    assert ended == [False, False, False, False, True, True]
    assert PATIENCE == 2
    best.restore()
    assert net.weight.item() == 1.0


def test_mlp_that_has_nothing_to_learn_does_not_learn_it_by_heart() -> None:
    rows = planted(rows=500, edge=0.0)
    eager = MlpConfig(hidden=64, learning_rate=1e-2, weight_decay=0.0, epochs=40, batch_rows=32)
    fresh = planted(rows=500, edge=0.0, seed=1)
    model = Mlp().fit(rows.features, rows.classes, eager, 1)
    lost = log_losses(model.scores(fresh.features), fresh.classes).mean()
    shares = np.bincount(fresh.classes, minlength=3) / len(fresh)
    assert lost == pytest.approx(-(shares * np.log(shares)).sum(), abs=0.1)
