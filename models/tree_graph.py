"""Forests as plain nodes, of three classes or of moves: read from a graph, rounded, folded, scaled, and packed again.

A packed forest is a `TreeEnsemble` node of ai.onnx.ml 5 that sums, an `Add` of the base values and, of classes, a
`Softmax`. (The node's own softmax is not used: ONNX Runtime 1.31 takes its number for another function's.) Every split
is BRANCH_LT, without missing-value tracks. Trees lie one after another, a parent before its children, the true child's
subtree before the false one's; leaves are shared between trees. Against a classifier node of ai.onnx.ml 3, which spells
every node's mode as text and numbers every node twice, this takes little over a third of the bytes for the same
function.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, helper, numpy_helper

from data_contracts.errors import ModelError
from models.onnx_graph import INPUT, OUTPUT, assemble

MAX_LEAVES: Final = 123
"""Leaf values of all outputs after rounding: few enough for every shared leaf to be named in one byte of a varint."""
_READ: Final = {"TreeEnsembleClassifier": ("class", b"SOFTMAX"), "TreeEnsembleRegressor": ("target", b"NONE")}
"""How a converter's node names its leaves, and what it makes of the sums."""
_SUM, _BRANCH_LT = 1, 1
_LLOYD_ROUNDS = 30


@dataclass(frozen=True)
class Leaf:
    """What a tree adds to one output's sum: a class's, or the one of moves."""

    cls: int
    weight: float


@dataclass(frozen=True)
class Split:
    """Goes to `less` where the feature is under the threshold, else to `other`."""

    feature: int
    threshold: float
    less: "Node"
    other: "Node"


Node = Split | Leaf


@dataclass(frozen=True)
class Forest:
    """Trees whose leaves add up, an output each, on top of `base`; of three sums softmax makes probabilities."""

    trees: tuple[Node, ...]
    base: tuple[float, ...]
    inputs: int

    def leaves(self) -> Iterator[Leaf]:
        """Yield every leaf of every tree."""
        for tree in self.trees:
            yield from _leaves(tree)

    def splits(self) -> int:
        """Return the number of splits over all trees."""
        return sum(_splits(tree) for tree in self.trees)

    def scaled(self, factor: float) -> "Forest":
        """Return the forest with every leaf multiplied by `factor`."""
        return replace(self, trees=tuple(_weighed(tree, lambda leaf: leaf.weight * factor) for tree in self.trees))

    def levels(self) -> int:
        """Return how many leaf values an output may have after rounding."""
        return MAX_LEAVES // len(self.base)

    def rounded(self, levels: int | None = None) -> "Forest":
        """Return the forest with `levels` leaf values an output, and splits between equal leaves folded away."""
        levels = levels or self.levels()
        outputs = range(len(self.base))
        values = [np.array([leaf.weight for leaf in self.leaves() if leaf.cls == cls]) for cls in outputs]
        known = [_levels(weights, levels) for weights in values]

        def nearest(leaf: Leaf) -> float:
            return float(known[leaf.cls][np.abs(known[leaf.cls] - leaf.weight).argmin()])

        return replace(self, trees=tuple(_weighed(tree, nearest) for tree in self.trees))


def _levels(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return at most `count` levels that `values` can be rounded to with little squared error.

    Source:
        Lloyd (1982), IEEE Transactions on Information Theory 28(2): each level is the mean of what is nearest to it.
    """
    levels = np.unique(np.quantile(values, np.linspace(0, 1, count))) if values.size else values
    for _ in range(_LLOYD_ROUNDS if values.size else 0):
        nearest = np.searchsorted((levels[1:] + levels[:-1]) / 2, values)
        sums, counts = (np.bincount(nearest, weights, len(levels)) for weights in (values, None))
        levels = (sums / np.maximum(counts, 1))[counts > 0]
    return levels


def read_forest(model: ModelProto) -> Forest:
    """Return the forest in a converter's graph of one ensemble (ai.onnx.ml 3): three classes', or a regressor's.

    Which way a missing value goes is not kept: serving abstains before a model sees one.

    Raises:
        ModelError: the graph is anything else.
    """
    nodes = model.graph.node
    if len(nodes) != 1 or nodes[0].op_type not in _READ:
        raise ModelError(f"tree graph: expected one of {', '.join(_READ)}, got {[n.op_type for n in nodes]}")
    kind, transform = _READ[nodes[0].op_type]
    columns = {a.name: helper.get_attribute_value(a) for a in nodes[0].attribute}
    modes = set(columns["nodes_modes"]) - {b"BRANCH_LT", b"LEAF"}
    summed = columns.get("aggregate_function", b"SUM") == b"SUM"
    if modes or not summed or columns.get("post_transform", b"NONE") != transform:
        raise ModelError(
            f"tree graph: expected sums of BRANCH_LT splits under {transform.decode()}, got {sorted(modes)}"
        )
    outputs = 3 if kind == "class" else int(columns.get("n_targets", 1))
    base = tuple(float(value) for value in columns.get("base_values", ())) or (0.0,) * outputs
    inputs = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    return Forest(tuple(_read_trees(columns, kind)), base, inputs)


def _read_trees(columns: dict[str, Any], kind: str) -> Iterator[Node]:
    leaves = (columns[f"{kind}_{name}"] for name in ("treeids", "nodeids", "ids", "weights"))
    says = {(tree, number): Leaf(cls, weight) for tree, number, cls, weight in zip(*leaves, strict=True)}
    names = ("treeids", "nodeids", "featureids", "values", "truenodeids", "falsenodeids")
    rows = zip(*(columns[f"nodes_{name}"] for name in names), strict=True)
    splits = {row[:2]: row[2:] for row, mode in zip(rows, columns["nodes_modes"], strict=True) if mode != b"LEAF"}

    def node(tree: int, number: int) -> Node:
        if (tree, number) in says:
            return says[tree, number]
        feature, threshold, less, other = splits[tree, number]
        return Split(feature, threshold, node(tree, less), node(tree, other))

    for tree in dict.fromkeys(columns["nodes_treeids"]):
        yield node(tree, 0)


def pack(forest: Forest) -> ModelProto:
    """Return the forest as the graph that the module's description fixes.

    Raises:
        ModelError: no tree has a split: a constant is not a forest.
    """
    grown = [tree for tree in forest.trees if isinstance(tree, Split)]
    if not grown:
        raise ModelError("tree graph: expected a forest with a split, got constants only")
    base = np.array(forest.base)
    for tree in forest.trees:
        if isinstance(tree, Leaf):
            base[tree.cls] += tree.weight
    packed = _Packed(leaf for tree in grown for leaf in _leaves(tree))
    roots = [packed.append(tree) for tree in grown]
    sums = helper.make_node(
        "TreeEnsemble",
        [INPUT],
        ["sums"],
        domain="ai.onnx.ml",
        aggregate_function=_SUM,
        n_targets=len(base),
        tree_roots=roots,
        **packed.columns(),
    )
    classes = len(base) > 1
    nodes = [sums, helper.make_node("Add", ["sums", "base"], ["all" if classes else OUTPUT])]
    if classes:
        nodes.append(helper.make_node("Softmax", ["all"], [OUTPUT], axis=1))
    return assemble(nodes, {"base": base.astype(np.float32)}, inputs=forest.inputs, outputs=len(base), name="trees")


class _Packed:
    def __init__(self, leaves: Iterator[Leaf]) -> None:
        self._leaves = {leaf: index for index, (leaf, _) in enumerate(Counter(leaves).most_common())}
        self._rows: list[list[Any]] = []

    def append(self, split: Split) -> int:
        """Add the split and all under it; return where it lies."""
        index = len(self._rows)
        row: list[Any] = [split.feature, split.threshold]
        self._rows.append(row)
        for child in (split.less, split.other):
            row += [1, self._leaves[child]] if isinstance(child, Leaf) else [0, self.append(child)]
        return index

    def columns(self) -> dict[str, Any]:
        features, thresholds, less_leafs, less, other_leafs, other = zip(*self._rows, strict=True)
        return {
            "nodes_featureids": features,
            "nodes_splits": _tensor(thresholds, np.float32),
            "nodes_modes": _tensor([_BRANCH_LT] * len(features), np.uint8),
            "nodes_trueleafs": less_leafs,
            "nodes_truenodeids": less,
            "nodes_falseleafs": other_leafs,
            "nodes_falsenodeids": other,
            "leaf_targetids": [leaf.cls for leaf in self._leaves],
            "leaf_weights": _tensor([leaf.weight for leaf in self._leaves], np.float32),
        }


def _tensor(values: Any, kind: Any) -> Any:  # noqa: ANN401  onnx publishes no types
    return numpy_helper.from_array(np.array(values, dtype=kind))


def _leaves(node: Node) -> Iterator[Leaf]:
    if isinstance(node, Leaf):
        yield node
    else:
        yield from _leaves(node.less)
        yield from _leaves(node.other)


def _splits(node: Node) -> int:
    return 0 if isinstance(node, Leaf) else 1 + _splits(node.less) + _splits(node.other)


def _weighed(node: Node, change: Callable[[Leaf], float]) -> Node:
    if isinstance(node, Leaf):
        return Leaf(node.cls, float(np.float32(change(node))))
    less, other = (_weighed(child, change) for child in (node.less, node.other))
    if isinstance(less, Leaf) and less == other:
        return less
    return replace(node, less=less, other=other)
