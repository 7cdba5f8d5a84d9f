"""What the worker's process must never load."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_FORBIDDEN = ("torch", "xgboost", "sklearn", "prefect", "great_expectations", "pipelines", "mlflow", "onnxruntime",
              "redis", "influxdb_client_3", "confluent_kafka", "zmq", "market_data.stores", "market_data.buses",
              "serving.export")  # fmt: skip


def test_worker_loads_no_training_stack_and_no_store_or_bus() -> None:
    program = (
        "import sys, ringcraft.processes.worker, ringcraft.processes.supervisor, serving.journal;"
        f"print([name for name in {_FORBIDDEN!r} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout.strip() == "[]"
