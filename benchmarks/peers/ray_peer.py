"""Ray Serve: one replica behind its proxy."""

import os
import sys
import time

import numpy as np
import ray
from onnx_model import open_model
from ray import serve


@serve.deployment(num_replicas=1, max_ongoing_requests=100)
class Deployment:
    """The ONNX file as a deployment."""

    def __init__(self, path):
        """Open the file."""
        self.session, self.input = open_model(path)

    async def __call__(self, request):
        """Answer one question."""
        tensor = (await request.json())["inputs"][0]
        rows = np.array(tensor["data"], np.float32).reshape(tensor["shape"])
        output = self.session.run(None, {self.input: rows})[0]
        said = {"name": "output", "datatype": "FP32", "shape": output.shape, "data": output.ravel().tolist()}
        return {"model_name": "bench", "outputs": [said]}


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _temp_dir=sys.argv[2])
    serve.start(
        http_options={"host": "127.0.0.1", "port": int(sys.argv[1])}, logging_config={"enable_access_log": False}
    )
    serve.run(Deployment.bind(os.environ["MODEL"]), route_prefix="/infer")
    while True:
        time.sleep(1)
