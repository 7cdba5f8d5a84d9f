"""BentoML: one service, one worker, no batching."""

import os
import sys
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
from onnx_model import open_model


@bentoml.service(workers=1, traffic={"timeout": 30}, logging={"access": {"enabled": False}})
class Service:
    """The ONNX file as a service."""

    def __init__(self) -> None:
        """Open the file."""
        self.session, self.input = open_model(os.environ["MODEL"])

    @bentoml.api
    def infer(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """Answer one question."""
        tensor = inputs[0]
        rows = np.array(tensor["data"], np.float32).reshape(tensor["shape"])
        output = self.session.run(None, {self.input: rows})[0]
        said = {"name": "output", "datatype": "FP32", "shape": output.shape, "data": output.ravel().tolist()}
        return {"model_name": "bench", "outputs": [said]}


if __name__ == "__main__":
    os.environ |= {"BENTOML_DO_NOT_TRACK": "true", "BENTOML_HOME": sys.argv[2]}
    folder = str(Path(__file__).parent)
    command = ["bentoml", "serve", "bentoml_peer:Service", "--working-dir", folder, "--host", "127.0.0.1", "--port"]
    os.execv(Path(sys.executable).with_name("bentoml"), [*command, sys.argv[1]])
