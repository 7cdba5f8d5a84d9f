"""A named, ordered, hashed set of features; native code computes it, a numpy reference checks it."""

import hashlib

import msgspec
from msgspec import Struct


class FeatureSet(Struct, frozen=True, kw_only=True):
    """What a model reads, and nothing else about it."""

    name: str
    features: tuple[str, ...]
    dtype: str = "float32"
    parameters: dict[str, float]
    warm_up_events: int
    """Usable events before the first vector that may be acted on."""

    @property
    def hash(self) -> str:
        """SHA-256, first 16 hex digits, of the set's canonical JSON: any change makes another set."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]
