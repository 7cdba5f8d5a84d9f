"""LitServe with one worker and no batching."""

import os
import sys

import litserve
import numpy as np
from onnx_model import open_model


class Api(litserve.LitAPI):
    """The ONNX file behind LitServe's four steps."""

    def setup(self, device):
        """Open the file."""
        self.session, self.input = open_model(os.environ["MODEL"])

    def decode_request(self, request):
        """Return the rows."""
        tensor = request["inputs"][0]
        return np.array(tensor["data"], np.float32).reshape(tensor["shape"])

    def predict(self, rows):
        """Return the model's output."""
        return self.session.run(None, {self.input: rows})[0]

    def encode_response(self, output):
        """Return what becomes JSON."""
        said = {"name": "output", "datatype": "FP32", "shape": output.shape, "data": output.ravel().tolist()}
        return {"model_name": "bench", "outputs": [said]}


if __name__ == "__main__":
    server = litserve.LitServer(Api(api_path="/infer"), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="error", generate_client_file=False)
