"""A graph written node by node from weights, as the sequence families export themselves."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper

from models.onnx_graph import INPUT, OUTPUT, Tensors, assemble, normalised
from models.scaling import Scaling

Weights = dict[str, torch.Tensor]
"""A net's state by name, as torch gives it."""


class GraphBuilder:
    """Nodes in order, each named by what it makes; every method returns that name."""

    def __init__(self, scaling: Scaling, window: int) -> None:
        """Begin with the normalised, clipped windows (batch, window, d), named `rows`."""
        self.rows = "rows"
        self._nodes, self._tensors = normalised(scaling, self.rows)
        self._inputs, self._window = len(scaling.mean), window

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401  as onnx takes them
        """Add an operator with one result that is read."""
        name = f"{op.lower()}{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def constant(self, name: str, value: NDArray[Any] | torch.Tensor) -> str:
        """Keep a constant tensor: a weight, or int64 axes."""
        array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
        self._tensors[name] = np.ascontiguousarray(array)
        return name

    def linear(self, values: str, weights: Weights, layer: str) -> str:
        """Add values @ weight.T + bias, over rows (n, in)."""
        names = [
            self.constant(f"{layer}.weight", weights[f"{layer}.weight"]),
            self.constant(f"{layer}.bias", weights[f"{layer}.bias"]),
        ]
        return self.node("Gemm", values, *names, transB=1)

    def lstm(self, values: str, weights: Weights, layer: str, number: int = 0) -> str:
        """Add one layer of an LSTM over (window, batch, in); return its outputs (window, 1, batch, hidden).

        ONNX keeps the gates in the order input, output, forget, cell; torch in input, forget, cell, output.
        """
        tensors = [_gates(weights[f"{layer}.{kind}_l{number}"]) for kind in ("weight_ih", "weight_hh")]
        bias = [_gates(weights[f"{layer}.{kind}_l{number}"]) for kind in ("bias_ih", "bias_hh")]
        name = f"{layer}.{number}"
        inputs = [
            self.constant(f"{name}.w", tensors[0][None]),
            self.constant(f"{name}.r", tensors[1][None]),
            self.constant(f"{name}.b", np.concatenate(bias)[None]),
        ]
        result = f"lstm{len(self._nodes)}"
        outputs = [result, f"{result}.last"]
        hidden = tensors[1].shape[1]
        self._nodes.append(helper.make_node("LSTM", [values, *inputs], outputs, hidden_size=hidden))
        return result

    def last_of(self, lstm: str) -> str:
        """Return the output (batch, hidden) of an LSTM's last step."""
        return self.node("Squeeze", f"{lstm}.last", self.axes(0))

    def axes(self, *numbers: int) -> str:
        """Keep axes, or a shape, as operators of later operator sets take them."""
        return self.constant("axes" + "_".join(str(n) for n in numbers), np.array(numbers, dtype=np.int64))

    def scalar(self, value: float) -> str:
        """Keep one number."""
        return self.constant(f"number{value:g}", np.array(value, dtype=np.float32))

    def rescaled(self, values: str, factor: float, shift: float) -> str:
        """Return `values` * factor + shift: inside the last node where that is a dense layer, else by nodes more."""
        last = self._nodes[-1]
        if last.op_type == "Gemm" and list(last.output) == [values]:
            weights, bias = last.input[1:]
            self._tensors[weights] = (self._tensors[weights] * factor).astype(np.float32)
            self._tensors[bias] = (self._tensors[bias] * factor + shift).astype(np.float32)
            return values
        names = [
            self.constant(name, np.array(value, dtype=np.float32))
            for name, value in (("factor", factor), ("shift", shift))
        ]
        return self.node("Add", self.node("Mul", values, names[0]), names[1])

    def finish(self, result: str, *, outputs: int, name: str) -> ModelProto:
        """Return the checked model; `result` is renamed to what serving reads."""
        last: NodeProto = self._nodes[-1]
        if list(last.output) != [result]:
            raise AssertionError(f"{name}: the last node makes {list(last.output)}, not {result}")
        last.output[0] = OUTPUT
        tensors: Tensors = self._tensors
        return assemble(self._nodes, tensors, inputs=self._inputs, outputs=outputs, name=name, window=self._window)


def _gates(weight: torch.Tensor) -> NDArray[np.float32]:
    ours: NDArray[np.float32] = weight.detach().cpu().numpy()
    i, f, c, o = np.split(ours, 4)
    return np.concatenate([i, o, f, c])


__all__ = ["INPUT", "GraphBuilder", "Weights"]
