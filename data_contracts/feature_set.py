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
    tables: dict[str, tuple[float, ...]] = {}
    """Fitted on a recording, by name; row by row."""
    fitted_until_ns: int = 0
    """Event time at which what the tables were fitted on ends; 0: nothing was fitted."""
    leader: str = ""
    """VENUE:SYMBOL of the instrument that is read beside the one decided on; empty: none."""

    @property
    def hash(self) -> str:
        """SHA-256, first 16 hex digits, of the set's canonical JSON: any change makes another set."""
        # Left out where they say nothing: sets that have neither keep the hash of before there were any.
        said = {
            name: msgspec.Raw(msgspec.json.encode(value, order="deterministic"))
            for name, value in msgspec.structs.asdict(self).items()
            if value or name not in _SAY_NOTHING_WHEN_EMPTY
        }
        return hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:16]

    @property
    def title(self) -> str:
        """The name, and the leader where there is one, as commands take it."""
        return f"{self.name}={self.leader}" if self.leader else self.name


_SAY_NOTHING_WHEN_EMPTY = ("tables", "fitted_until_ns", "leader")
