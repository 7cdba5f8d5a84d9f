"""Ask a worker's doors by kserve's own clients; what they said goes out as JSON.

A program of its own: kserve's protobuf messages clash with tritonclient's in one process.
"""

import asyncio
import json
import sys
from typing import Any

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import InferResponse, RequestedOutput


def request(
    model: str, rows: np.ndarray, *, binary: bool, outputs: tuple[str, ...] = (), **steered: str
) -> InferRequest:
    """A request as kserve makes it."""
    tensor = InferInput("features", list(rows.shape), "FP32")
    tensor.set_data_from_numpy(rows, binary_data=binary)
    wanted = [RequestedOutput(name, {"binary_data": binary}) for name in outputs]
    return InferRequest(model, [tensor], request_id="mine", parameters=steered or None, request_outputs=wanted or None)


def told(answer: InferResponse) -> dict[str, Any]:
    """An answer as kserve read it."""
    outputs = {one.name: one.as_numpy() for one in answer.outputs}
    return {
        "id": answer.id,
        "model": answer.model_name,
        "outputs": {name: value.tolist() for name, value in outputs.items() if value.dtype.kind != "O"},
        "shapes": {name: list(value.shape) for name, value in outputs.items()},
    }


async def ask_rest(url: str, model: str, rows: np.ndarray) -> dict[str, Any]:
    """What the REST client says."""
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0, timeout=10))
    said: dict[str, Any] = {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model_ready": await client.is_model_ready(url, model),
        "nobody_ready": await client.is_model_ready(url, "nobody"),
    }
    for binary in (False, True):
        outputs = ("output", "decision_id", "action") if binary else ()
        asked = request(model, rows, binary=binary, outputs=outputs, key="order-7")
        said["binary" if binary else "json"] = told(await client.infer(url, asked, model_name=model))
    plain = {"inputs": [{"name": "features", "datatype": "FP32", "shape": list(rows.shape), "data": rows.tolist()}]}
    said["dict"] = told(await client.infer(url, plain, model_name=model))
    many = await asyncio.gather(*(client.infer(url, plain, model_name=model) for _ in range(8)))
    said["together"] = [told(one)["outputs"]["output"] for one in many]
    for name, asked_model, bad in (("unknown", "nobody", plain), ("empty", model, {"inputs": []})):
        try:
            await client.infer(url, bad, model_name=asked_model)
        except httpx.HTTPStatusError as error:
            said[name] = [error.response.status_code, str(error)]
    return said


async def ask_grpc(address: str, model: str, rows: np.ndarray) -> dict[str, Any]:
    """What the gRPC client says."""
    async with InferenceGRPCClient(address, timeout=10, retries=2) as client:
        said: dict[str, Any] = {
            "live": await client.is_server_live(),
            "ready": await client.is_server_ready(),
            "model_ready": await client.is_model_ready(model),
            "nobody_ready": await client.is_model_ready("nobody"),
        }
        for binary in (False, True):
            asked = request(model, rows, binary=binary, key="order-7")
            said["raw" if binary else "contents"] = told(await client.infer(asked))
        try:
            await client.infer(request("nobody", rows, binary=True))
        except grpc.RpcError as error:
            said["unknown"] = [error.code().name, error.details()]
    return said


async def main() -> None:
    """Ask both doors what the arguments say: addresses of REST and gRPC, the model, its rows as JSON."""
    rest, address, model, rows = sys.argv[1:]
    tensor = np.array(json.loads(rows), np.float32)
    said = {"rest": await ask_rest(f"http://{rest}", model, tensor), "grpc": await ask_grpc(address, model, tensor)}
    sys.stdout.write(json.dumps(said))


asyncio.run(main())
