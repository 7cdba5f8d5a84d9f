"""What the driver takes from mlflow-skinny, imported with its telemetry off.

Telemetry calls out of the machine, and its thread changes the process's environment while requests read it, which now
and then fails one of them. It starts with the first import of mlflow: a program that imports mlflow before this module
sets MLFLOW_DISABLE_TELEMETRY itself.
"""

import os

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts, list_artifacts
from mlflow.entities.model_registry import ModelVersion as MlflowVersion
from mlflow.exceptions import MlflowException

__all__ = ["MlflowClient", "MlflowException", "MlflowVersion", "download_artifacts", "list_artifacts"]
