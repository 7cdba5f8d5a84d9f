"""A hand-written server: granian's RSGI, orjson, numpy, onnxruntime."""

import os
import sys

import numpy as np
import orjson
from granian import Granian
from onnx_model import open_model

SESSION, INPUT = open_model(os.environ["MODEL"])
HEADERS = [("content-type", "application/json")]


async def app(scope, protocol):
    """Answer the Open Inference Protocol's question."""
    tensor = orjson.loads(await protocol())["inputs"][0]
    rows = np.array(tensor["data"], np.float32).reshape(tensor["shape"])
    output = SESSION.run(None, {INPUT: rows})[0]
    said = {"name": "output", "datatype": "FP32", "shape": output.shape, "data": output.ravel()}
    body = orjson.dumps({"model_name": "bench", "outputs": [said]}, option=orjson.OPT_SERIALIZE_NUMPY)
    protocol.response_bytes(200, HEADERS, body)


if __name__ == "__main__":
    server = Granian("granian_peer:app", address="127.0.0.1", port=int(sys.argv[1]), interface="rsgi", workers=1)
    server.serve()
