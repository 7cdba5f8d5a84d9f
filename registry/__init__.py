"""The model registry: a port, its drivers, the history of alias moves.

Drivers are imported by path: registry.memory, registry.mlflow_registry.
"""

from registry.changes import AliasChange, alias_changes
from registry.history import History, HistoryEntry
from registry.port import ModelLook, ModelRegistry, ModelVersion
from registry.swap import Swap

__all__ = [
    "AliasChange",
    "History",
    "HistoryEntry",
    "ModelLook",
    "ModelRegistry",
    "ModelVersion",
    "Swap",
    "alias_changes",
]
