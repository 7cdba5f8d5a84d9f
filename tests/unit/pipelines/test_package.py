import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from benchmarks.versions import save_graph
from data_contracts.errors import ManifestError, ModelError, ParityError, UsageError
from data_contracts.manifest import DecisionRule, Label, read_golden, verify_files
from market_data.feature_sets import feature_set
from models.families import family
from models.parity import run_onnx, session
from pipelines.adversaries import random_trader, slow
from pipelines.package import package, package_own
from pipelines.steps.publish import publish
from registry.memory import MemoryRegistry

FEATURES = feature_set("touch_v1")
WIDTH = len(FEATURES.features)
WHAT = {
    "model": "demo",
    "feature_set": FEATURES,
    "rule": DecisionRule(kind="up_minus_down", threshold=0.1),
    "label": Label(kind="mid_move", horizon_ns=2_000_000_000),
}


@pytest.fixture(scope="module")
def graph():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(600, WIDTH)).astype(np.float32)
    kind = family("logistic")
    return kind.fit(features, np.arange(600, dtype=np.int8) % 3, kind.default(), 1).to_onnx()


@pytest.fixture
def own(tmp_path, graph):
    path = tmp_path / "own.onnx"
    onnx.save(graph, path)
    return path


@pytest.fixture
def champion(tmp_path, graph):
    inputs = np.random.default_rng(1).normal(size=(32, WIDTH)).astype(np.float32)
    package(tmp_path / "champion", graph, family="logistic", golden_inputs=inputs, **WHAT)
    return tmp_path / "champion"


def vectors(path, inputs, outputs):
    path.write_text(json.dumps({"inputs": inputs.tolist(), "outputs": outputs.tolist()}))
    return path


def test_packaged_folder_verifies_until_a_byte_changes(champion):
    assert verify_files(champion).feature_hash == FEATURES.hash
    content = bytearray((champion / "model.onnx").read_bytes())
    content[-1] ^= 1
    (champion / "model.onnx").write_bytes(content)
    with pytest.raises(ManifestError, match=r"model\.onnx"):
        publish(MemoryRegistry(), champion)


def test_golden_outputs_are_what_the_runtime_answers(champion, graph):
    golden = read_golden(champion)
    said = run_onnx(graph, np.array(golden.inputs, dtype=np.float32))
    np.testing.assert_array_equal(said, np.array(golden.outputs, dtype=np.float32))


def test_published_version_shows_its_family_and_comes_back_whole(champion, tmp_path):
    registry = MemoryRegistry()
    version = publish(registry, champion)
    assert registry.version("demo", version).tags["ringcraft.family"] == "logistic"
    registry.fetch("demo", version, tmp_path / "fetched")
    assert verify_files(tmp_path / "fetched") == verify_files(champion)


def test_own_model_with_true_vectors_is_packaged(own, graph, tmp_path):
    inputs = np.random.default_rng(2).normal(size=(5, WIDTH)).astype(np.float32)
    golden = vectors(tmp_path / "golden.json", inputs, run_onnx(graph, inputs))
    manifest = package_own(tmp_path / "version", own, golden_file=golden, **WHAT)
    assert manifest.family == "own"
    assert len(read_golden(tmp_path / "version").inputs) == 5


def test_own_model_that_disagrees_with_its_vectors_is_refused(own, graph, tmp_path):
    inputs = np.zeros((5, WIDTH), dtype=np.float32)
    golden = vectors(tmp_path / "golden.json", inputs, run_onnx(graph, inputs) + 0.01)
    with pytest.raises(ParityError, match="golden vector 0"):
        package_own(tmp_path / "version", own, golden_file=golden, **WHAT)


def test_own_model_of_another_width_is_refused(own, tmp_path):
    with pytest.raises(ModelError, match=r"output 'output': expected FLOAT \[batch, 1\], got FLOAT \['batch', 3\]"):
        package_own(tmp_path / "version", own, **(WHAT | {"rule": DecisionRule(kind="expected_bps", threshold=0.1)}))


def test_own_model_of_another_type_is_refused(tmp_path):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "double",
        [value("x", TensorProto.DOUBLE, ["batch", WIDTH])],
        [value("y", TensorProto.DOUBLE, ["batch", WIDTH])],
    )
    onnx.save(helper.make_model(graph), tmp_path / "double.onnx")
    with pytest.raises(ModelError, match="input 'x': expected FLOAT"):
        package_own(tmp_path / "version", tmp_path / "double.onnx", **WHAT)


@pytest.mark.parametrize("content", [b"", b"not a model"])
def test_file_that_is_no_model_is_refused(tmp_path, content):
    (tmp_path / "own.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"own\.onnx"):
        package_own(tmp_path / "version", tmp_path / "own.onnx", **WHAT)


@pytest.mark.parametrize(
    "content", ["{}", '{"inputs": [], "outputs": []}', '{"inputs": [[1.0]], "outputs": [[1.0]]}', "nonsense"]
)
def test_malformed_vectors_are_refused(own, tmp_path, content):
    (tmp_path / "golden.json").write_text(content)
    with pytest.raises(UsageError, match=r"golden\.json"):
        package_own(tmp_path / "version", own, golden_file=tmp_path / "golden.json", **WHAT)


def test_random_trader_always_trades_and_its_side_knows_nothing(champion, tmp_path):
    manifest = random_trader(champion, tmp_path / "random")
    verify_files(tmp_path / "random")
    features = np.random.default_rng(3).normal(size=(5000, WIDTH)).astype(np.float32)
    said = run_onnx((tmp_path / "random" / "model.onnx").read_bytes(), features)
    lead = said[:, 2] - said[:, 0]
    assert manifest.rule.threshold == 0
    assert (lead != 0).all()
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-6)
    assert abs(np.corrcoef(lead, features[:, 0])[0, 1]) < 0.05
    assert abs(np.corrcoef(lead[1:], lead[:-1])[0, 1]) < 0.05


def test_slow_version_answers_alike_and_much_later(champion, tmp_path):
    manifest = slow(champion, tmp_path / "slow")
    assert manifest.family == "slow_logistic"
    original, wasteful = read_golden(champion), read_golden(tmp_path / "slow")
    np.testing.assert_allclose(original.outputs, wasteful.outputs, atol=1e-6)
    assert manifest.latency.p50_us > 500
    assert (tmp_path / "slow" / "model.onnx").stat().st_size < 10_000


def _steps(path):
    """Write an LSTM over steps left open, and a softmax of its last state."""
    random = np.random.default_rng(5)
    weights = {"w": (1, 12, WIDTH), "r": (1, 12, 3)}
    tensors = {name: random.normal(0, 0.4, sizes).astype(np.float32) for name, sizes in weights.items()}
    tensors["first"] = np.array([0])
    nodes = [
        helper.make_node("Transpose", ["features"], ["x"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["x", "w", "r"], ["", "last"], hidden_size=3),
        helper.make_node("Squeeze", ["last", "first"], ["state"]),
        helper.make_node("Softmax", ["state"], ["output"], axis=1),
    ]
    save_graph(path, nodes, tensors, outputs=3, window=0)


def test_own_stream_is_packaged_with_answers_over_all_that_came(tmp_path):
    _steps(tmp_path / "own.onnx")
    manifest = package_own(tmp_path / "version", tmp_path / "own.onnx", state="stream", **WHAT)
    assert (manifest.state, manifest.window, manifest.inputs) == ("stream", 1, WIDTH)
    golden = read_golden(tmp_path / "version")
    assert len(golden.inputs) == 32
    inputs = np.array(golden.inputs, dtype=np.float32)
    runtime = session((tmp_path / "own.onnx").read_bytes())
    whole = runtime.run(None, {"features": inputs[None]})[0]
    np.testing.assert_allclose(golden.outputs[-1], whole[0], rtol=0, atol=1e-6)
    alone = runtime.run(None, {"features": inputs[None, -1:]})[0]
    assert np.abs(whole - alone).max() > 1e-3
    few = vectors(tmp_path / "few.json", inputs[:15], np.array(golden.outputs)[:15])
    with pytest.raises(UsageError, match="expected 16 to 1024 vectors of a stream, got 15"):
        package_own(tmp_path / "few", tmp_path / "own.onnx", state="stream", golden_file=few, **WHAT)
    file = vectors(tmp_path / "golden.json", inputs, np.array(golden.outputs) + 0.01)
    with pytest.raises(ParityError, match="golden vector 0"):
        package_own(tmp_path / "other", tmp_path / "own.onnx", state="stream", golden_file=file, **WHAT)


def test_own_graph_of_another_state_than_said_is_refused(own, tmp_path):
    with pytest.raises(ModelError, match=rf"expected FLOAT \[batch, steps, {WIDTH}\], the steps left open, got FLOAT"):
        package_own(tmp_path / "version", own, state="stream", **WHAT)
    _steps(tmp_path / "steps.onnx")
    with pytest.raises(ModelError, match=rf"or \[batch, window, {WIDTH}\], got FLOAT"):
        package_own(tmp_path / "version", tmp_path / "steps.onnx", **WHAT)
