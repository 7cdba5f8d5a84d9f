"""Seals saved state: whether it is whole, and whether the code that saved it is the code that reads it."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

import data_contracts
import serving.guardrails
import serving.rollout
import serving.watch
from data_contracts.errors import StateError

_MAGIC: Final = b"RCFOLD01"
_DIGEST_BYTES: Final = 32
_PACKAGES: Final = (serving.rollout, serving.guardrails, serving.watch)
_CONTRACTS: Final = ("journal.py", "outcome.py", "policy.py", "watch_policy.py")


@cache
def code_digest() -> bytes:
    """Return the digest of the source that folds: state of any other is folded again, never guessed at."""
    files = [path for package in _PACKAGES for path in sorted(Path(package.__path__[0]).glob("*.py"))]
    files += [Path(data_contracts.__path__[0]) / name for name in _CONTRACTS]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.digest()


def sealed(body: bytes) -> bytes:
    """Return `body` behind a header that says whose it is and what it must be."""
    return _MAGIC + code_digest() + hashlib.sha256(body).digest() + body


def opened(data: bytes) -> bytes:
    """Return what was sealed.

    Raises:
        StateError: no such header, saved by other code, or damaged.
    """
    at = len(_MAGIC)
    code, digest, body = (
        data[at : at + _DIGEST_BYTES],
        data[at + _DIGEST_BYTES : at + 2 * _DIGEST_BYTES],
        data[at + 2 * _DIGEST_BYTES :],
    )
    if data[:at] != _MAGIC or len(digest) != _DIGEST_BYTES:
        raise StateError(f"kept state: expected it to begin with {_MAGIC.decode()}")
    if code != code_digest():
        raise StateError("kept state: saved by another version of the code that folds")
    if hashlib.sha256(body).digest() != digest:
        raise StateError("kept state: damaged: its checksum is wrong")
    return body
