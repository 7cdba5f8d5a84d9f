"""Tree ensembles by our kernels, against ONNX Runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph_kit import Floats, agree, graph, kernels_of
from onnx import ModelProto, helper, numpy_helper

FEATURES = 9
MODES = ("BRANCH_LT", "BRANCH_LEQ", "BRANCH_GT", "BRANCH_GTE")


class _Columns:
    """Trees grown at random, as ai.onnx.ml 3 spells them."""

    def __init__(self, random: np.random.Generator, *, outputs: int, mode: str, missing: bool) -> None:
        self.random, self.outputs, self.mode, self.missing = random, outputs, mode, missing
        names = ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")
        self.nodes: dict[str, list[Any]] = {key: [] for key in (*names, "missing_value_tracks_true")}
        self.leaves: dict[str, list[Any]] = {key: [] for key in ("treeids", "nodeids", "ids", "weights")}

    def grow(self, tree: int, depth: int) -> None:
        self.count = 0
        self._node(tree, depth)

    def _node(self, tree: int, depth: int) -> int:
        number, self.count = self.count, self.count + 1
        row = dict.fromkeys(self.nodes, 0) | {"treeids": tree, "nodeids": number, "values": 0.0, "modes": "LEAF"}
        at = len(self.nodes["treeids"])
        for key, values in self.nodes.items():
            values.append(row[key])
        if depth == 0 or self.random.random() < 0.15:
            for key, value in {
                "treeids": tree,
                "nodeids": number,
                "ids": tree % self.outputs,
                "weights": float(np.float32(self.random.normal())),
            }.items():
                self.leaves[key].append(value)
            return number
        split = {
            "featureids": int(self.random.integers(FEATURES)),
            # Few distinct thresholds, so that rows made of them fall on ties.
            "values": float(self.random.choice([-1.0, -0.5, -0.0, 0.0, 0.25, 1.0, np.inf, -np.inf])),
            "modes": self.mode,
            "missing_value_tracks_true": int(self.missing and self.random.random() < 0.5),
            "truenodeids": self._node(tree, depth - 1),
            "falsenodeids": self._node(tree, depth - 1),
        }
        for key, value in split.items():
            self.nodes[key][at] = value
        return number


def _ensemble(
    random: np.random.Generator, *, trees: int, depth: int, outputs: int, mode: str, **also: Any
) -> ModelProto:
    columns = _Columns(random, outputs=outputs, mode=mode, missing=also.pop("missing", False))
    for tree in range(trees):
        columns.grow(tree, depth)
    regressor = outputs == 1
    prefix = "target" if regressor else "class"
    attributes = {f"nodes_{key}": values for key, values in columns.nodes.items()}
    attributes |= {f"{prefix}_{key}": values for key, values in columns.leaves.items()}
    attributes |= {"n_targets": 1} if regressor else {"classlabels_int64s": list(range(outputs))}
    kind = "TreeEnsembleRegressor" if regressor else "TreeEnsembleClassifier"
    said = ["output"] if regressor else ["label", "output"]
    node = helper.make_node(kind, ["features"], said, domain="ai.onnx.ml", **attributes, **also)
    return graph([node], {}, sizes=[FEATURES], outputs=outputs)


def _rows(random: np.random.Generator, *, missing: bool) -> Floats:
    smooth = random.normal(size=(40, FEATURES))
    ties = random.choice([-1.0, -0.5, -0.0, 0.0, 0.25, 1.0, np.inf, -np.inf, 3e38, 1e-45], size=(80, FEATURES))
    rows = np.vstack([smooth, ties]).astype(np.float32)
    if missing:
        rows[random.random(rows.shape) < 0.3] = np.nan
    return rows


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("missing", [False, True])
def test_random_forests_answer_as_onnxruntime(tmp_path: Path, mode: str, missing: bool) -> None:
    random = np.random.default_rng(MODES.index(mode) + 10 * missing)
    for trees, depth, outputs, transform in ((1, 1, 3, "NONE"), (23, 5, 3, "SOFTMAX"), (9, 8, 1, "NONE"),
                                             (40, 3, 5, "LOGISTIC")):  # fmt: skip
        base = [float(np.float32(value)) for value in random.normal(size=outputs)]
        model = _ensemble(random, trees=trees, depth=depth, outputs=outputs, mode=mode, missing=missing,
                          post_transform=transform, base_values=base)  # fmt: skip
        agree(model, _rows(random, missing=missing), tmp_path, family="trees")


def test_forest_of_single_leaves_is_a_constant(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    model = _ensemble(random, trees=7, depth=0, outputs=3, mode="BRANCH_LT", post_transform="SOFTMAX")
    agree(model, _rows(random, missing=True), tmp_path, family="trees")


def test_leaves_of_several_outputs_add_to_each(tmp_path: Path) -> None:
    nodes = {
        "nodes_treeids": [0, 0, 0],
        "nodes_nodeids": [0, 1, 2],
        "nodes_featureids": [2, 0, 0],
        "nodes_values": [0.5, 0.0, 0.0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0],
        "class_treeids": [0, 0, 0, 0],
        "class_nodeids": [1, 1, 2, 2],
        "class_ids": [0, 2, 1, 2],
        "class_weights": [0.25, 0.5, -1.0, 0.125],
        "classlabels_int64s": [0, 1, 2],
    }
    node = helper.make_node("TreeEnsembleClassifier", ["features"], ["label", "output"], domain="ai.onnx.ml", **nodes)
    model = graph([node], {}, sizes=[FEATURES], outputs=3)
    agree(model, _rows(np.random.default_rng(3), missing=False), tmp_path, family="trees", tolerance=0)


def test_packed_ensemble_with_shared_leaves_answers_alike(tmp_path: Path) -> None:
    nodes = {
        "nodes_featureids": [0, 1, 3],
        "nodes_splits": numpy_helper.from_array(np.array([0.25, -0.5, 0.0], np.float32)),
        "nodes_modes": numpy_helper.from_array(np.array([1, 0, 1], np.uint8)),
        "nodes_trueleafs": [0, 1, 1],
        "nodes_truenodeids": [1, 0, 1],
        "nodes_falseleafs": [1, 1, 1],
        "nodes_falsenodeids": [2, 1, 0],
        "leaf_targetids": [0, 1, 2],
        "leaf_weights": numpy_helper.from_array(np.array([1.5, -0.5, 0.75], np.float32)),
        "tree_roots": [0, 2],
    }
    sums = helper.make_node("TreeEnsemble", ["features"], ["sums"], domain="ai.onnx.ml", n_targets=3, **nodes)
    rest = [
        helper.make_node("Add", ["sums", "base"], ["all"]),
        helper.make_node("Softmax", ["all"], ["output"], axis=1),
    ]
    base = {"base": np.array([0.1, 0.2, -0.3], np.float32)}
    model = graph([sums, *rest], base, sizes=[FEATURES], outputs=3)
    agree(model, _rows(np.random.default_rng(4), missing=False), tmp_path, family="trees")


def test_missing_values_do_not_stick(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    model = _ensemble(random, trees=12, depth=4, outputs=3, mode="BRANCH_LT", missing=True)
    _, kernels = kernels_of(model, tmp_path)
    rows = _rows(random, missing=False)
    missing = rows.copy()
    missing[:, 0] = np.nan
    for kernel in kernels:
        before = kernel.predict(rows)
        kernel.predict(missing)
        np.testing.assert_array_equal(kernel.predict(rows), before)
