"""`ringcraft publish` with a real registry: what serving could not run is refused before it is registered."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.cli import one_line, ringcraft
from support.graphs import cautious

from benchmarks.versions import WIDTH
from native import onnxruntime_library
from native._native import OnnxModel
from registry.mlflow_registry import MlflowRegistry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    cautious(tmp_path / "own.onnx")
    inputs = np.random.default_rng(1).normal(size=(4, WIDTH)).astype(np.float32)
    outputs = OnnxModel(str(tmp_path / "own.onnx"), onnxruntime_library()).predict(inputs)
    write_golden(tmp_path / "golden.json", inputs, outputs)
    write_golden(tmp_path / "other.json", inputs, outputs + 1)
    write_golden(tmp_path / "wide.json", np.hstack([inputs, inputs]), outputs)
    (tmp_path / "no.json").write_text("{no json")
    (tmp_path / "no.onnx").write_bytes(b"no graph at all")
    return tmp_path


def write_golden(path: Path, inputs: np.ndarray, outputs: np.ndarray) -> None:
    path.write_text(json.dumps({"inputs": inputs.tolist(), "outputs": outputs.tolist()}))


def publish(folder: Path, uri: str, graph: str = "own.onnx", golden: str = "golden.json", **other: str):
    options = {"feature-set": "touch_v1", "rule": "expected_bps", "threshold": "1", "horizon-s": "2"}
    options |= {name.replace("_", "-"): value for name, value in other.items()}
    more = [word for name, value in options.items() for word in (f"--{name}", value)]
    arguments = ["publish", graph, "--model", "own-command", "--golden", golden, *more, "--json"]
    return ringcraft(*arguments, cwd=folder, RINGCRAFT_MLFLOW__URI=uri)


def test_graph_that_answers_its_golden_vectors_is_registered(folder: Path, mlflow_uri: str) -> None:
    result = publish(folder, mlflow_uri, alias="challenger")
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    registry = MlflowRegistry(mlflow_uri)
    assert registry.aliases("own-command") == {"challenger": answer["version"]}
    assert registry.version("own-command", answer["version"]).tags["ringcraft.family"] == "own"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"rule": "up_minus_down"}, r"own.onnx: output 'output': expected FLOAT [batch, 3]"),
        ({"golden": "wide.json"}, f"wide.json: expected inputs of {WIDTH} numbers"),
        ({"golden": "other.json"}, "golden vector 0: outputs differ by 1"),
        ({"golden": "no.json"}, "no.json: golden vectors: JSON is malformed"),
        ({"graph": "no.onnx"}, "no.onnx: not an ONNX model"),
        ({"feature_set": "none_v1"}, "feature set: expected one of"),
        ({"threshold": "-1"}, "--threshold"),
    ],
)
def test_what_serving_could_not_run_is_refused_in_one_line(folder: Path, given: dict[str, str], expected: str) -> None:
    result = publish(folder, "http://127.0.0.1:9", **given)  # refused before the registry is asked
    assert result.returncode == 2
    assert expected in one_line(result)


def test_graph_of_another_width_is_refused(folder: Path) -> None:
    import onnx

    graph = onnx.load(folder / "own.onnx")
    graph.graph.input[0].type.tensor_type.shape.dim[1].dim_value = WIDTH + 1
    onnx.save(graph, folder / "wide.onnx")
    result = publish(folder, "http://127.0.0.1:9", graph="wide.onnx")
    assert result.returncode == 2
    assert f"input 'features': expected FLOAT [batch, {WIDTH}]" in one_line(result)


def test_without_a_registry_the_exit_code_says_that_something_is_missing(folder: Path) -> None:
    result = publish(folder, "http://127.0.0.1:9")
    assert result.returncode == 3
    assert "no MLflow server answers at http://127.0.0.1:9" in one_line(result)
