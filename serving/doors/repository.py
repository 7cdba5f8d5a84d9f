"""What a worker holds ready, for doors that are processes of their own: read from the files that the tier keeps."""

import time
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from data_contracts.errors import ModelError
from data_contracts.manifest import read_manifest
from serving.lineup import LINEUP_FILE, STATUS_FILE, Lineup, WorkerStatus, read_whole

INPUT: Final = "features"
OUTPUT: Final = "output"
_FRESH_S: Final = 0.1
"""As often as a worker writes its status."""


class HeldVersion(Struct, frozen=True, kw_only=True):
    """A version that a worker was told to hold."""

    version: int
    ready: bool
    reason: str
    """Why it is not ready; empty where it is, or still being prepared."""
    tier: str
    """Engine that runs it."""
    window: int
    inputs: int
    outputs: int

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of its input, -1 for the rows."""
        return (-1, self.inputs) if self.window == 1 else (-1, self.window, self.inputs)


class Repository:
    """The models of one worker and their versions, as of a moment ago."""

    def __init__(self, state_dir: Path, *, worker: str = "worker-0") -> None:
        """Read the tier whose state lies in `state_dir`."""
        self._lineup = state_dir / LINEUP_FILE
        self._status = state_dir / worker / STATUS_FILE
        self._models: dict[str, tuple[HeldVersion, ...]] = {}
        self._shapes: dict[str, tuple[int, int, int]] = {}
        self._read_at = 0.0

    def models(self) -> dict[str, tuple[HeldVersion, ...]]:
        """Return the versions of each model, in order."""
        now = time.monotonic()
        if now - self._read_at >= _FRESH_S:
            self._models, self._read_at = self._read(), now
        return self._models

    def versions(self, model: str, version: int = 0) -> tuple[HeldVersion, ...]:
        """Return those of a model that are ready, or the one asked for if it is."""
        held = self.models().get(model, ())
        return tuple(one for one in held if one.ready and version in (0, one.version))

    @property
    def ready(self) -> bool:
        """Whether each model has a version that is verified and warm."""
        models = self.models()
        return bool(models) and all(any(one.ready for one in held) for held in models.values())

    def _read(self) -> dict[str, tuple[HeldVersion, ...]]:
        try:
            lineup, status = read_whole(self._lineup, Lineup), read_whole(self._status, WorkerStatus)
        except msgspec.DecodeError:
            return self._models
        states = {(one.model, one.version): one for one in (status.slots if status else ())}
        models = {}
        for model in lineup.models if lineup else ():
            held = []
            for slot in sorted(model.slots, key=lambda slot: slot.version):
                state, shape = states.get((model.name, slot.version)), self._shape(slot.folder)
                held.append(
                    HeldVersion(
                        version=slot.version,
                        ready=state is not None and state.state == "ready" and shape is not None,
                        reason=state.reason if state else "",
                        tier=state.tier if state else "",
                        window=model.window,
                        inputs=shape[1] if shape else 0,
                        outputs=shape[2] if shape else 0,
                    )
                )
            models[model.name] = tuple(held)
        return models

    def _shape(self, folder: str) -> tuple[int, int, int] | None:
        if folder not in self._shapes:
            try:
                manifest = read_manifest(Path(folder))
            except ModelError:
                return None
            self._shapes[folder] = manifest.window, manifest.inputs, manifest.outputs
        return self._shapes[folder]
