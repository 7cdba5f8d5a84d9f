"""Tree ensembles as ONNX holds them: rounding leaves to a few levels, and folding splits that no longer matter."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper

from data_contracts.errors import ModelError
from models.onnx_graph import checked
from models.parity import run_onnx

LEVELS = 255
"""Leaf values of the whole ensemble after rounding: what a signed byte holds."""


@dataclass
class _Node:
    feature: int
    threshold: float
    mode: str
    missing_true: int
    true_child: int
    false_child: int
    weight: float = 0.0
    cls: int = 0


_Tree = dict[int, _Node]


def count_nodes(model: ModelProto) -> int:
    """Return the number of splits and leaves over all trees."""
    return len(_attributes(_ensemble(model))["nodes_nodeids"])


def quantize_leaves(model: ModelProto, *, levels: int = LEVELS) -> ModelProto:
    """Return `model` with leaves rounded to `levels` equal steps and splits between equal leaves folded away.

    Values stay float32 in the file (ONNX has no integer leaves): the size falls by the nodes that fold.

    Raises:
        ModelError: the graph is not one tree-ensemble classifier.
    """
    node = _ensemble(model)
    attributes = _attributes(node)
    trees = _trees(attributes)
    largest = max(abs(n.weight) for tree in trees for n in tree.values())
    step = 2 * largest / (levels - 1) or 1.0
    for tree in trees:
        for leaf in tree.values():
            leaf.weight = float(np.float32(round(leaf.weight / step) * step))
        _fold(tree)
    graph = type(model.graph)()
    graph.CopyFrom(model.graph)
    graph.node[0].CopyFrom(_rebuilt(node, attributes, trees))
    return checked(graph)


def scaled_to_match(model: ModelProto, original: ModelProto, features: NDArray[np.float32]) -> tuple[ModelProto, float]:
    """Return `model` with every leaf multiplied by one factor, and the factor.

    It is the least-squares factor between the trees' sums and those of `original` on `features`: a forest that lost
    trees or splits says too little, and one number gives most of it back without learning from labels.

    Raises:
        ModelError: a graph is not one tree-ensemble classifier.
    """
    base = np.array(_attributes(_ensemble(original)).get("base_values", [0.0] * 3))
    wanted, got = (_tree_sums(run_onnx(each, features), base) for each in (original, model))
    factor = float((wanted * got).sum() / max((got * got).sum(), 1e-12))
    graph = type(model.graph)()
    graph.CopyFrom(model.graph)
    for attribute in graph.node[0].attribute:
        if attribute.name == "class_weights":
            attribute.floats[:] = [np.float32(weight * factor) for weight in attribute.floats]
    return checked(graph), factor


def _tree_sums(scores: NDArray[np.float32], base: NDArray[np.float64]) -> NDArray[np.float64]:
    # Softmax forgets a constant a row: what is left is compared around each row's mean.
    sums = np.log(np.maximum(scores.astype(np.float64), 1e-12)) - base
    centred: NDArray[np.float64] = sums - sums.mean(axis=1, keepdims=True)
    return centred


def _ensemble(model: ModelProto) -> NodeProto:
    nodes = model.graph.node
    if len(nodes) != 1 or nodes[0].op_type != "TreeEnsembleClassifier":
        raise ModelError(f"tree graph: expected one TreeEnsembleClassifier, got {[n.op_type for n in nodes]}")
    node: NodeProto = nodes[0]
    return node


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _trees(attributes: dict[str, Any]) -> list[_Tree]:
    trees: dict[int, _Tree] = {}
    columns = ("featureids", "values", "modes", "missing_value_tracks_true", "truenodeids", "falsenodeids")
    rows = zip(*(attributes[f"nodes_{column}"] for column in columns), strict=True)
    for tree, number, row in zip(attributes["nodes_treeids"], attributes["nodes_nodeids"], rows, strict=True):
        trees.setdefault(tree, {})[number] = _Node(row[0], row[1], row[2].decode(), *row[3:])
    leaves = (attributes[f"class_{column}"] for column in ("treeids", "nodeids", "ids", "weights"))
    for tree, number, cls, weight in zip(*leaves, strict=True):
        leaf = trees[tree][number]
        leaf.cls, leaf.weight = cls, weight
    return [trees[key] for key in sorted(trees)]


def _fold(tree: _Tree) -> None:
    # Children carry higher numbers than their parent, so one pass from the end folds whole subtrees.
    for number in sorted(tree, reverse=True):
        split = tree[number]
        if split.mode == "LEAF":
            continue
        left, right = tree[split.true_child], tree[split.false_child]
        if left.mode == right.mode == "LEAF" and left.weight == right.weight:
            del tree[split.true_child], tree[split.false_child]
            tree[number] = _Node(0, 0.0, "LEAF", 0, 0, 0, left.weight, left.cls)


def _rebuilt(node: NodeProto, attributes: dict[str, Any], trees: list[_Tree]) -> NodeProto:
    kept = {k: v for k, v in attributes.items() if not k.startswith(("nodes_", "class_"))}
    columns: dict[str, Any] = {key: [] for key in attributes if key.startswith(("nodes_", "class_"))}
    for tree_id, tree in enumerate(trees):
        numbers = {old: new for new, old in enumerate(sorted(tree))}
        for old, new in numbers.items():
            _append(columns, tree_id, new, tree[old], numbers)
    return helper.make_node(node.op_type, node.input, node.output, domain=node.domain, **kept, **columns)


def _append(columns: dict[str, list[Any]], tree_id: int, number: int, node: _Node, numbers: dict[int, int]) -> None:
    leaf = node.mode == "LEAF"
    row = {
        "nodes_treeids": tree_id,
        "nodes_nodeids": number,
        "nodes_featureids": node.feature,
        "nodes_values": node.threshold,
        "nodes_modes": node.mode,
        "nodes_missing_value_tracks_true": node.missing_true,
        "nodes_truenodeids": 0 if leaf else numbers[node.true_child],
        "nodes_falsenodeids": 0 if leaf else numbers[node.false_child],
    }
    if leaf:
        row |= {
            "class_treeids": tree_id,
            "class_nodeids": number,
            "class_ids": node.cls,
            "class_weights": node.weight,
        }
    for key, value in row.items():
        columns[key].append(value)
