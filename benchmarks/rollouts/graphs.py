"""Versions as small ONNX graphs over touch_v1, each with a known edge on the planted market."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from benchmarks.rollouts.feed import CUE_GAP_MS, HORIZON_NS
from benchmarks.versions import WIDTH, Graph, save_graph, write_version
from data_contracts.manifest import DecisionRule
from market_data.feature_sets import TOUCH_V1

IMBALANCE: Final = TOUCH_V1.features.index("queue_imbalance")
LOG_GAP: Final = TOUCH_V1.features.index("log_gap_ms")
_SIZE: Final = 1000
_LAYERS: Final = 12
Nodes = list[onnx.NodeProto]
Weights = dict[str, NDArray[Any]]


def champion(path: Path) -> None:
    """Follows A, the sign of the queue imbalance."""
    save_graph(path, *_follow_a(10.0))


def harmful(path: Path) -> None:
    """Does the opposite: 0.2 sd of the difference worse, each decision."""
    save_graph(path, *_follow_a(-10.0))


def equal(path: Path) -> None:
    """Follows B, right as often as A, at other times: the imbalance is 0.2 in size where B is down, 0.6 where up."""
    nodes, weights = _follow_a(10.0, "a")
    nodes += [
        helper.make_node("Abs", ["a"], ["size"]),
        helper.make_node("Sub", ["size", "middle"], ["side"]),
        helper.make_node("Mul", ["side", "scale"], ["output"]),
    ]
    save_graph(path, nodes, {**weights, "middle": _scalar(4.0), "scale": _scalar(5.0)})


def slow(path: Path) -> None:
    """Follows A, and takes milliseconds for it where the event came after the longer gap: one in twenty."""
    nodes, weights = _follow_a(10.0, "a")
    random = np.random.default_rng(2)
    weights |= {
        "pick": _one(LOG_GAP, 1.0),
        "limit": _scalar(float(np.log1p(CUE_GAP_MS)) - 0.1),
        "w_in": random.normal(0, 0.1, (WIDTH, _SIZE)).astype(np.float32),
        "w_out": random.normal(0, 1e-9, (_SIZE, 1)).astype(np.float32),
        "w_hidden": random.normal(0, 1 / _SIZE**0.5, (_SIZE, _SIZE)).astype(np.float32),
    }
    costly = [helper.make_node("MatMul", ["features", "w_in"], ["h0"])]
    for layer in range(_LAYERS):
        costly.append(helper.make_node("MatMul", [f"h{layer}", "w_hidden"], [f"m{layer}"]))
        costly.append(helper.make_node("Tanh", [f"m{layer}"], [f"h{layer + 1}"]))
    costly.append(helper.make_node("MatMul", [f"h{_LAYERS}", "w_out"], ["nearly_nothing"]))
    costly.append(helper.make_node("Add", ["a", "nearly_nothing"], ["then_out"]))
    cheap = [helper.make_node("Identity", ["a"], ["else_out"])]
    nodes += [
        helper.make_node("MatMul", ["features", "pick"], ["gap"]),
        helper.make_node("ReduceMax", ["gap"], ["longest"], keepdims=0),
        helper.make_node("Squeeze", ["limit"], ["limit_scalar"]),
        helper.make_node("Greater", ["longest", "limit_scalar"], ["late"]),
        helper.make_node(
            "If", ["late"], ["output"], then_branch=_branch(costly, "then_out"), else_branch=_branch(cheap, "else_out")
        ),
    ]
    save_graph(path, nodes, weights)


def written(folder: Path, graph: Graph, *, model: str) -> Path:
    """Write a version of the planted market; return the folder."""
    rule = DecisionRule(kind="expected_bps", threshold=0.5)
    return write_version(folder, graph, model=model, horizon_ns=HORIZON_NS, rule=rule)


def _follow_a(scale: float, output: str = "output") -> tuple[Nodes, Weights]:
    return [helper.make_node("MatMul", ["features", "w"], [output])], {"w": _one(IMBALANCE, scale)}


def _scalar(value: float) -> NDArray[np.float32]:
    return np.array([[value]], np.float32)


def _one(feature: int, weight: float) -> NDArray[np.float32]:
    column = np.zeros((WIDTH, 1), np.float32)
    column[feature] = weight
    return column


def _branch(nodes: Nodes, output: str) -> onnx.GraphProto:
    return helper.make_graph(nodes, output, [], [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None, 1])])
