"""The baseline that knows only how often each class occurs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from onnx import ModelProto, helper

from models.families.port import DIRECTION, Classes, Features, refuse_unusable
from models.onnx_graph import INPUT, OUTPUT, Tensors, assemble

if TYPE_CHECKING:
    import optuna


class MajorityConfig(Struct, frozen=True):
    """Nothing to choose."""


@dataclass(frozen=True)
class MajorityModel:
    """Class shares of the training rows, whatever the features say."""

    shares: NDArray[np.float32]
    inputs: int

    def scores(self, features: Features) -> NDArray[np.float32]:
        """Return the same shares for every row, shape (n, 3)."""
        return np.repeat(self.shares[None, :], len(features), axis=0)

    def to_onnx(self) -> ModelProto:
        """Return a graph that repeats the shares once a row."""
        nodes = [
            helper.make_node("Shape", [INPUT], ["shape"], start=0, end=1),
            helper.make_node("Concat", ["shape", "three"], ["wanted"], axis=0),
            helper.make_node("Expand", ["shares", "wanted"], [OUTPUT]),
        ]
        tensors: Tensors = {"three": np.array([3], dtype=np.int64), "shares": self.shares[None, :]}
        return assemble(nodes, tensors, inputs=self.inputs, outputs=3, name="majority")


class Majority:
    """The family of one model."""

    name = "majority"
    window = 1
    targets = DIRECTION

    def suggest(self, trial: "optuna.Trial") -> MajorityConfig:  # noqa: ARG002  nothing to choose
        """Return the only configuration."""
        return MajorityConfig()

    def default(self) -> MajorityConfig:
        """Return the only configuration."""
        return MajorityConfig()

    def fit(self, features: Features, classes: Classes, config: MajorityConfig, seed: int) -> MajorityModel:  # noqa: ARG002  part of the port
        """Count the classes."""
        refuse_unusable(features, classes)
        shares = np.bincount(classes, minlength=3) / len(classes)
        return MajorityModel(shares.astype(np.float32), features.shape[1])


FAMILY = Majority()
