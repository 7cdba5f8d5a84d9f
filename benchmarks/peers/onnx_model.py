"""The ONNX file that every peer serves, by onnxruntime on one thread. Runs in the peers' environments, not in ours."""

import onnxruntime


def open_model(path: str) -> tuple[onnxruntime.InferenceSession, str]:
    """Return a session and the name of its input."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session, session.get_inputs()[0].name
