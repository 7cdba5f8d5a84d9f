"""`mlflow models serve` of a pyfunc model that runs the ONNX file."""

import os
import sys
from pathlib import Path

import mlflow
from mlflow.pyfunc import PythonModel
from onnx_model import open_model


class Model(PythonModel):
    """The ONNX file as a pyfunc model."""

    def load_context(self, context):
        """Open the file."""
        self.session, self.input = open_model(os.environ["MODEL"])

    def predict(self, context, model_input, params=None):
        """Return the model's output."""
        return self.session.run(None, {self.input: model_input.astype("float32")})[0]


if __name__ == "__main__":
    model = Path(sys.argv[2]) / "model"
    here = str(Path(__file__).parent)
    files = [f"{here}/mlflow_peer.py", f"{here}/onnx_model.py"]
    from mlflow_peer import Model as Named  # pickled by where it is found, not by __main__

    mlflow.pyfunc.save_model(model, python_model=Named(), code_paths=files, pip_requirements=["mlflow"])
    command = ["mlflow", "models", "serve", "-m", str(model), "-h", "127.0.0.1", "-p", sys.argv[1], "-w", "1"]
    os.execv(Path(sys.executable).with_name("mlflow"), [*command, "--env-manager", "local"])
