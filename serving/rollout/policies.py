"""The policy of each rollout, kept beside the journal: what a rollout began with is what it is judged by, for ever."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from data_contracts.errors import JournalError, PolicyError
from data_contracts.policy import Policy

PolicyOf = Callable[[int], Policy]
"""From rollout id to the policy by which it is judged; 0 stands for decisions outside every rollout."""

POLICIES_FOLDER: Final = "policies"


class PolicyFolder:
    """rollout-<id>.json files; the first word on a rollout stands."""

    def __init__(self, folder: Path) -> None:
        """Look at `folder`; it is made when the first policy is kept."""
        self.folder = folder
        self._known: dict[int, Policy] = {}

    def keep(self, rollout_id: int, policy: Policy) -> None:
        """Keep the rollout's policy, on the disk on return; one that is kept already is left as it is."""
        if rollout_id in self._known:
            return
        path = self._path(rollout_id)
        if path.exists():
            self.of(rollout_id)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(policy)))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync(self.folder)
        self._known[rollout_id] = policy

    def of(self, rollout_id: int) -> Policy:
        """Return the rollout's policy; the defaults for 0, by which nothing is judged.

        Raises:
            JournalError: none was kept, or it cannot be read.
        """
        if not rollout_id:
            return Policy()
        known = self._known.get(rollout_id)
        return known if known is not None else self._read(rollout_id)

    def _read(self, rollout_id: int) -> Policy:
        path = self._path(rollout_id)
        try:
            policy = msgspec.json.decode(path.read_bytes(), type=Policy)
        except FileNotFoundError:
            raise JournalError(
                f"{path}: expected the policy that rollout {rollout_id} was judged by, found no such file; "
                "name one with --policy"
            ) from None
        except (OSError, msgspec.DecodeError, PolicyError) as error:
            raise JournalError(f"{path}: expected a policy: {error}") from None
        self._known[rollout_id] = policy
        return policy

    def _path(self, rollout_id: int) -> Path:
        return self.folder / f"rollout-{rollout_id}.json"


def policies_beside(journal: Path) -> PolicyFolder:
    """Return the policies kept beside a journal.

    Args:
        journal: as read_journal takes it: one segment, a worker's folder, or a folder above it.
    """
    inside = journal.parent if journal.is_file() else journal
    places = (inside, inside / "journal", inside.parent)
    found = [place / POLICIES_FOLDER for place in places if (place / POLICIES_FOLDER).is_dir()]
    return PolicyFolder(found[0] if found else inside.parent / POLICIES_FOLDER)


def as_policy_of(policy: Policy | PolicyOf) -> PolicyOf:
    """Return `policy` for every rollout where it is one, else itself."""
    return policy if callable(policy) else lambda _rollout_id: policy


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
