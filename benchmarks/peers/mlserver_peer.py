"""MLServer with a runtime of our own; parallel inference off, so that it is one process."""

import json
import os
import sys
from pathlib import Path

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from onnx_model import open_model


class Model(MLModel):
    """The ONNX file behind MLServer's own types and codecs."""

    async def load(self) -> bool:
        """Open the file."""
        self.session, self.input = open_model(os.environ["MODEL"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one question."""
        rows = NumpyCodec.decode_input(payload.inputs[0])
        output = self.session.run(None, {self.input: rows})[0]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("output", output)])


if __name__ == "__main__":
    port, folder = sys.argv[1], Path(sys.argv[2])
    ports = {"http_port": int(port), "grpc_port": 0, "metrics_port": 0, "host": "127.0.0.1"}
    quiet = {"parallel_workers": 0, "debug": False, "metrics_endpoint": None}
    (folder / "settings.json").write_text(json.dumps(ports | quiet))
    (folder / "model-settings.json").write_text(json.dumps({"name": "bench", "implementation": "mlserver_peer.Model"}))
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    os.execv(Path(sys.executable).with_name("mlserver"), ["mlserver", "start", str(folder)])
