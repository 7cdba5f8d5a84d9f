"""Gradient-boosted trees."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost
from msgspec import Struct
from numpy.typing import NDArray
from onnx import ModelProto
from onnxmltools.convert import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

from models.families.port import EITHER, Features, Targets, learns_moves, refuse_unusable
from models.onnx_graph import INPUT, scores_only

if TYPE_CHECKING:
    import optuna

THREADS = 1
"""On tens of thousands of rows two threads mostly wait for each other, and worse where the machine is shared."""
BINS = 64
"""Thresholds tried a feature; more only cost time on signals this faint."""
_CONVERTER_OPSET = 15
"""The highest main operator set the converter knows; the graph uses none of its operators."""


class XgboostConfig(Struct, frozen=True):
    """Size of the forest and how it learns."""

    trees: int = 60
    depth: int = 4
    learning_rate: float = 0.08
    min_child_weight: float = 20.0
    subsample: float = 0.8
    columns: float = 0.8
    l2: float = 5.0


@dataclass(frozen=True)
class XgboostModel:
    """A booster over d features, with three outputs or one."""

    booster: xgboost.Booster
    inputs: int
    outputs: int = 3

    def scores(self, features: Features) -> NDArray[np.float32]:
        """Return P(down), P(flat), P(up), shape (n, 3), or the expected move in bps, (n, 1)."""
        said: NDArray[np.float32] = self.booster.inplace_predict(features)
        return said.reshape(len(features), self.outputs)

    def to_onnx(self) -> ModelProto:
        """Return one tree-ensemble node; its size follows the live nodes of the trees."""
        shape = [(INPUT, FloatTensorType([None, self.inputs]))]
        converted = convert_xgboost(self.booster, initial_types=shape, target_opset=_CONVERTER_OPSET)
        return scores_only(converted, inputs=self.inputs, outputs=self.outputs, name="xgboost")


class Xgboost:
    """Histogram trees: three a round for classes; one for moves, which are learnt by their squared error."""

    name = "xgboost"
    window = 1
    targets = EITHER

    def suggest(self, trial: "optuna.Trial") -> XgboostConfig:
        """Return the configuration that `trial` tries."""
        return XgboostConfig(
            trees=trial.suggest_int("trees", 20, 80),
            depth=trial.suggest_int("depth", 2, 5),
            learning_rate=trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
            min_child_weight=trial.suggest_float("min_child_weight", 1.0, 200.0, log=True),
            subsample=trial.suggest_float("subsample", 0.5, 1.0),
            columns=trial.suggest_float("columns", 0.4, 1.0),
            l2=trial.suggest_float("l2", 0.1, 100.0, log=True),
        )

    def default(self) -> XgboostConfig:
        """Return a cautious middle."""
        return XgboostConfig()

    def fit(self, features: Features, targets: Targets, config: XgboostConfig, seed: int) -> XgboostModel:
        """Boost `config.trees` rounds; the same seed gives the same booster."""
        refuse_unusable(features, targets, self.targets)
        moves = learns_moves(targets)
        booster = xgboost.train(parameters(config, seed, moves=moves), training_rows(features, targets), config.trees)
        return XgboostModel(booster, features.shape[1], 1 if moves else 3)


def training_rows(features: Features, targets: Targets) -> xgboost.DMatrix:
    """Return rows under the names the converter wants, f0, f1 and so on."""
    names = [f"f{index}" for index in range(features.shape[1])]
    return xgboost.DMatrix(features, label=targets, feature_names=names, nthread=THREADS)


def parameters(config: XgboostConfig, seed: int, *, moves: bool = False) -> dict[str, Any]:
    """Return the library's own spelling of `config`, for classes or for moves."""
    said = {
        "tree_method": "hist",
        "max_bin": BINS,
        "nthread": THREADS,
        "seed": seed,
        "max_depth": config.depth,
        "learning_rate": config.learning_rate,
        "min_child_weight": config.min_child_weight,
        "subsample": config.subsample,
        "colsample_bytree": config.columns,
        "lambda": config.l2,
    }
    if not moves:
        return said | {"objective": "multi:softprob", "num_class": 3}
    # The same caution: a row of squared error weighs 1, a row of three classes about a fifth.
    caution = {"min_child_weight": 5 * config.min_child_weight, "lambda": 5 * config.l2}
    return said | caution | {"objective": "reg:squarederror"}


FAMILY = Xgboost()
