"""Ask a worker's doors by MLServer's client code: its types, codecs and converters, and `mlserver infer`.

What they said goes out as JSON.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
from click.testing import CliRunner
from mlserver import types
from mlserver.cli.main import root
from mlserver.codecs import NumpyCodec
from mlserver.grpc import converters
from mlserver.grpc import dataplane_pb2 as messages
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub


def request(rows: np.ndarray, name: str = "mine", **changes: Any) -> types.InferenceRequest:
    """A request as MLServer makes it."""
    return types.InferenceRequest(id=name, inputs=[NumpyCodec.encode_input("features", rows)], **changes)


def told(answer: types.InferenceResponse) -> dict[str, Any]:
    """An answer as MLServer read it."""
    numeric = [one for one in answer.outputs if one.datatype != "BYTES"]
    return {
        "id": answer.id,
        "model": answer.model_name,
        "version": answer.model_version,
        "outputs": {one.name: NumpyCodec.decode_output(one).tolist() for one in numeric},
    }


def ask_rest(url: str, model: str, rows: np.ndarray) -> dict[str, Any]:
    """What REST says, sent and read by MLServer's types."""
    with httpx.Client(base_url=url, timeout=10) as client:
        asked = request(rows, outputs=[types.RequestOutput(name="output"), types.RequestOutput(name="action")])
        answer = client.post(f"/v2/models/{model}/infer", json=asked.model_dump(exclude_none=True))
        nulls = client.post(f"/v2/models/{model}/infer", json=request(rows).model_dump())
        index = client.post("/v2/repository/index", json=types.RepositoryIndexRequest().model_dump(exclude_none=True))
        server = types.MetadataServerResponse.model_validate(client.get("/v2").json())
        metadata = types.MetadataModelResponse.model_validate(client.get(f"/v2/models/{model}").json())
        return {
            "infer": told(types.InferenceResponse.model_validate(answer.json())),
            "nulls": told(types.InferenceResponse.model_validate(nulls.json())),
            "server": server.name,
            "inputs": [one.name for one in metadata.inputs or []],
            "index": [one.version for one in types.RepositoryIndexResponse.model_validate(index.json())],
            "unknown": client.post("/v2/models/nobody/infer", json=asked.model_dump(exclude_none=True)).json(),
        }


def ask_grpc(address: str, model: str, rows: np.ndarray) -> dict[str, Any]:
    """What gRPC says, through MLServer's stub and converters."""
    with grpc.insecure_channel(address) as channel:
        stub = GRPCInferenceServiceStub(channel)
        said: dict[str, Any] = {}
        for raw in (False, True):
            asked = converters.ModelInferRequestConverter.from_types(request(rows), model_name=model, use_raw=raw)
            answer = converters.ModelInferResponseConverter.to_types(stub.ModelInfer(asked, timeout=10))
            said["raw" if raw else "contents"] = told(answer)
        server = stub.ServerMetadata(messages.ServerMetadataRequest())
        metadata = stub.ModelMetadata(messages.ModelMetadataRequest(name=model))
        index = stub.RepositoryIndex(messages.RepositoryIndexRequest())
        said["server"] = converters.ServerMetadataResponseConverter.to_types(server).name
        said["inputs"] = [one.name for one in converters.ModelMetadataResponseConverter.to_types(metadata).inputs or []]
        said["index"] = [one.version for one in index.models]  # it has no converter
        return said


def ask_batch(rest: str, model: str, rows: np.ndarray, *, binary: bool) -> list[dict[str, Any]]:
    """What `mlserver infer` writes for a file of requests, one row each, sent in batches."""
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "asked.jsonl"), Path(folder, "answered.jsonl")
        requests = [request(row[None], f"row-{place}") for place, row in enumerate(rows)]
        asked.write_text("".join(one.model_dump_json(exclude_none=True) + "\n" for one in requests))
        options = ["--binary-data"] if binary else []
        wanted = [
            "infer",
            "-u",
            rest,
            "-m",
            model,
            "-i",
            str(asked),
            "-o",
            str(answered),
            "--batch-size",
            str(len(rows)),
        ]
        done = CliRunner().invoke(root, [*wanted, "-r", "1", *options])
        if done.exit_code:
            raise SystemExit(f"mlserver infer: {done.output} {done.exception!r}")
        return [json.loads(line) for line in answered.read_text().splitlines()]


def main() -> None:
    """Ask both doors what the arguments say: addresses of REST and gRPC, the model, its rows as JSON."""
    rest, address, model, content = sys.argv[1:]
    rows = np.array(json.loads(content), np.float32)
    said = {
        "rest": ask_rest(f"http://{rest}", model, rows),
        "grpc": ask_grpc(address, model, rows),
        "batch": ask_batch(rest, model, rows, binary=False),
        "batch_binary": ask_batch(rest, model, rows, binary=True),
    }
    sys.stdout.write(json.dumps(said))


main()
