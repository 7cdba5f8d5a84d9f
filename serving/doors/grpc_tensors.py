"""Tensors of the protocol: what comes is checked before it is used, what goes is raw."""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from serving.doors.repository import INPUT, OUTPUT
from serving.doors.shared_client import Answer

DATATYPES: Final = {OUTPUT: "FP32", "action": "INT8", "decision_id": "UINT64", "abstain": "UINT8"}
"""Of the outputs, as over REST."""
OUTPUTS: Final = tuple(DATATYPES)
CONFIG_TYPES: Final = {"UINT8": 2, "UINT64": 5, "INT8": 6, "FP32": 11}
"""How Triton's model configuration numbers them."""
_ELEMENTS_MAX: Final = 16_384
_UNSERVED: Final = ("classification", "shared_memory_region")
"""Triton's extensions whose answer would be another than ours."""


class TensorError(Exception):
    """A request's tensors are not what they should be; the message names which and how."""


def input_rows(request: Any) -> NDArray[np.float32]:  # noqa: ANN401
    """Return the one input tensor of a ModelInferRequest, in its own shape.

    Raises:
        TensorError: another number, name, type or size of tensors.
    """
    if [tensor.name for tensor in request.inputs] != [INPUT]:
        got = [tensor.name for tensor in request.inputs]
        raise TensorError(f"inputs: expected one tensor '{INPUT}', got {got}")
    tensor = request.inputs[0]
    _refuse_unserved(tensor, f"input '{INPUT}'")
    if tensor.datatype != "FP32":
        raise TensorError(f"input '{INPUT}': expected datatype FP32, got {tensor.datatype!r}")
    shape = list(tensor.shape)
    count = math.prod(shape)
    if not shape or min(shape) < 0 or count > _ELEMENTS_MAX:
        raise TensorError(f"input '{INPUT}': expected a shape of at most {_ELEMENTS_MAX} numbers, got {shape}")
    if request.raw_input_contents:
        return _raw(request, tensor, count).reshape(shape)
    values: NDArray[np.float32] = np.array(tensor.contents.fp32_contents, dtype=np.float32)
    if len(values) != count:
        raise TensorError(f"input '{INPUT}': expected {count} fp32_contents for shape {shape}, got {len(values)}")
    return values.reshape(shape)


def _raw(request: Any, tensor: Any, count: int) -> NDArray[np.float32]:  # noqa: ANN401
    # MLServer's client leaves empty contents beside the raw ones.
    if len(request.raw_input_contents) != 1 or tensor.contents.ByteSize():
        raise TensorError("raw_input_contents: expected those of every tensor, and no other contents beside them")
    content = request.raw_input_contents[0]
    if len(content) != 4 * count:
        raise TensorError(f"input '{INPUT}': expected {4 * count} raw bytes, got {len(content)}")
    return np.frombuffer(content, "<f4")


def wanted_outputs(request: Any) -> tuple[str, ...]:  # noqa: ANN401
    """Return the names of the outputs asked for; all where none is named.

    Raises:
        TensorError: one of them is none of ours, or asked for in a form that is not served.
    """
    names = tuple(output.name for output in request.outputs)
    unknown = [name for name in names if name not in OUTPUTS]
    if unknown:
        raise TensorError(f"outputs: expected some of {', '.join(OUTPUTS)}, got '{unknown[0]}'")
    for output in request.outputs:
        _refuse_unserved(output, f"output '{output.name}'")
    return tuple(dict.fromkeys(names)) or OUTPUTS


def _refuse_unserved(tensor: Any, where: str) -> None:  # noqa: ANN401
    for name in _UNSERVED:
        if name in tensor.parameters:
            raise TensorError(f"{where}: parameter {name}: expected none, as that extension is not served")


def add_outputs(reply: Any, answer: Answer, wanted: tuple[str, ...]) -> None:  # noqa: ANN401
    """Write the decisions' tensors that were asked for into a ModelInferResponse."""
    rows = len(answer.actions)
    tensors = {
        OUTPUT: (answer.outputs.shape, answer.outputs.astype("<f4").tobytes()),
        "action": ((rows,), answer.actions.tobytes()),
        "decision_id": ((rows,), answer.decision_ids.astype("<u8").tobytes()),
        "abstain": ((rows,), answer.abstains.tobytes()),
    }
    for name in wanted:
        shape, content = tensors[name]
        reply.outputs.add(name=name, datatype=DATATYPES[name], shape=shape)
        reply.raw_output_contents.append(content)
