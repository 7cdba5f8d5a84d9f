"""Everything the platform raises on purpose.

RingcraftError
├── UsageError               wrong arguments or settings: the caller's to mend
│   └── InstrumentChoiceError  several instruments, or none, fit what was asked for
├── MissingDependencyError   a program, extra or server that is needed is not there
├── MarketDataError          market data cannot be used as it stands
│   ├── FormatError          bytes or columns are not what the format says
│   ├── CrossedBookError     a best bid is above its best ask
│   └── QuarantinedError     a recording broke its contract and was set aside
├── ModelError               a model cannot be used
│   ├── ManifestError        manifest missing, unreadable, or not matching its files
│   ├── FeatureMismatchError the model's feature hash is not the live one
│   └── ParityError          two engines disagree on the golden vectors
├── RegistryError            the model registry refuses or cannot be reached
│   ├── ModelNotFoundError
│   ├── VersionNotFoundError
│   ├── AliasNotSetError
│   └── RegistryUnavailableError
├── PolicyError              a rollout policy that cannot be followed
├── JournalError             a journal that cannot be read
├── StoreError               a store or a bus cannot be used as it stands
│   ├── StoreUnavailableError  it cannot be reached just now
│   └── StoreFullError       it takes no more just now; nothing of the call was taken
└── OutcomeStoreUnavailableError  posted outcomes cannot be kept just now
"""

from pathlib import Path


class RingcraftError(Exception):
    """Root of everything the platform raises on purpose; the message is one line for a person."""


class UsageError(RingcraftError):
    """Wrong arguments or settings."""


class InstrumentChoiceError(UsageError):
    """Several instruments of a recording, or none, fit what was asked for."""

    def __init__(self, source: str | Path, *, choices: tuple[str, ...], got: str | None) -> None:
        shown = ", ".join(choices[:12]) + (", ..." if len(choices) > 12 else "")
        said = "none was named" if got is None else f"got {got!r}"
        super().__init__(f"{source}: instrument: expected one of {shown}; {said}")
        self.choices, self.got = choices, got


class MissingDependencyError(RingcraftError):
    """A program, an extra or a server that is needed is not there."""


class MarketDataError(RingcraftError):
    """Market data cannot be used as it stands."""


class FormatError(MarketDataError):
    """Bytes or columns are not what the format says."""

    def __init__(self, source: str | Path, *, where: str, expected: str, got: str) -> None:
        super().__init__(f"{source}: {where}: expected {expected}, got {got}")
        self.source, self.where, self.expected, self.got = str(source), where, expected, got


class CrossedBookError(MarketDataError):
    """A best bid is above its best ask."""

    def __init__(self, *, row: int) -> None:
        super().__init__(f"bid above ask at row {row}")
        self.row = row


class QuarantinedError(MarketDataError):
    """A recording broke its contract and was set aside."""

    def __init__(self, source: str | Path, *, rules: tuple[str, ...], folder: Path) -> None:
        broken = "; ".join(rules)
        super().__init__(f"{source}: quarantined in {folder}: {broken}")
        self.source, self.rules, self.folder = str(source), rules, folder


class ModelError(RingcraftError):
    """A model cannot be used."""


class ManifestError(ModelError):
    """A manifest is missing, unreadable, or does not match the files beside it."""


class FeatureMismatchError(ModelError):
    """A model was made for other features than the live ones."""

    def __init__(self, *, feature_set: str, expected: str, got: str) -> None:
        super().__init__(f"feature set {feature_set}: live hash {expected}, model made for {got}")
        self.feature_set, self.expected, self.got = feature_set, expected, got


class ParityError(ModelError):
    """Two engines disagree on the golden vectors."""

    def __init__(self, *, row: int, difference: float, tolerance: float) -> None:
        super().__init__(f"golden vector {row}: outputs differ by {difference:g}, tolerance {tolerance:g}")
        self.row, self.difference, self.tolerance = row, difference, tolerance


class RegistryError(RingcraftError):
    """The model registry refuses."""


class ModelNotFoundError(RegistryError):
    """No registered model of that name."""

    def __init__(self, model: str) -> None:
        super().__init__(f"no registered model {model!r}")
        self.model = model


class VersionNotFoundError(RegistryError):
    """The version was never registered."""

    def __init__(self, model: str, version: int) -> None:
        super().__init__(f"model {model!r} has no version {version}")
        self.model, self.version = model, version


class AliasNotSetError(RegistryError):
    """No version holds the alias."""

    def __init__(self, model: str, alias: str) -> None:
        super().__init__(f"model {model!r} has no alias {alias!r}")
        self.model, self.alias = model, alias


class RegistryUnavailableError(RegistryError):
    """The registry cannot be reached just now."""


class PolicyError(RingcraftError):
    """A rollout policy that cannot be followed."""


class JournalError(RingcraftError):
    """A journal that cannot be read."""


class StateError(RingcraftError):
    """Saved state that cannot be taken up; what it was made from must be read again."""


class OutcomeStoreUnavailableError(RingcraftError):
    """The store of posted outcomes cannot be reached just now; posting again is safe."""


class StoreError(RingcraftError):
    """A store or a bus cannot be used as it stands."""


class StoreUnavailableError(StoreError):
    """A store or a bus cannot be reached just now; trying again is safe."""


class StoreFullError(StoreError):
    """A store or a bus takes no more just now; nothing of the call was taken."""
