"""Objects of the fold as bytes, and back: every attribute, floats bit for bit; what may change and is shared stays so.

Nothing has to list its own attributes, so none can be forgotten; what cannot be kept is an error that names it. Only
classes of the packages below are ever made from bytes.
"""

# ruff: noqa: ANN401  anything may be part of the state

import sys
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
import numpy as np

from data_contracts.errors import StateError

KEPT_PACKAGES: Final = (
    "serving.rollout.",
    "serving.guardrails.",
    "serving.watch.",
    "data_contracts.policy",
    "data_contracts.watch_policy",
    "data_contracts.outcome",
)
LENT: Final = "lent"
"""Class attribute: names of instance attributes that are given anew after loading, callables for example."""
_REF, _LIST, _TUPLE, _DICT, _DEQUE, _SET, _ROW, _STRUCT, _OBJECT, _ARRAY = range(10)
_PLAIN: Final = frozenset({type(None), bool, int, float, str, bytes})


def pack(root: object) -> bytes:
    """Return `root` and everything it holds.

    Raises:
        StateError: something in it cannot be kept; the message says where.
    """
    packer = _Packer()
    body = packer.pack(root, type(root).__name__)
    return msgspec.msgpack.encode([packer.classes, body])


def unpack(data: bytes) -> Any:
    """Return what `pack` took; attributes that are lent are missing.

    Raises:
        StateError: not what `pack` returns, or of other classes.
    """
    try:
        names, body = msgspec.msgpack.decode(data)
        return _Unpacker([_class(name) for name in names]).unpack(body)
    except (msgspec.DecodeError, TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise StateError(f"kept state: {error}") from None


class _Packer:
    """Numbers what may change as it is first met; meeting it again gives its number."""

    def __init__(self) -> None:
        self.classes: list[str] = []
        self._class_numbers: dict[type, int] = {}
        self._met: dict[int, int] = {}
        self._alive: list[object] = []

    def pack(self, value: Any, where: str) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is tuple:
            return [_TUPLE, self._all(value, where)]
        if isinstance(value, tuple):
            return [_ROW, self._class(kind, where), self._all(value, where)]
        if isinstance(value, msgspec.Struct) and kind.__struct_config__.frozen:
            return self._struct(value, kind, where)
        number = self._met.get(id(value))
        if number is not None:
            return [_REF, number]
        self._met[id(value)] = len(self._alive)
        self._alive.append(value)
        return self._pack_new(value, kind, where)

    def _all(self, values: Iterable[Any], where: str) -> list[Any]:
        held = list(values)
        # Most lists and rows hold nothing but numbers.
        return held if _PLAIN.issuperset(map(type, held)) else [self.pack(item, where) for item in held]

    def _pack_new(self, value: Any, kind: type, where: str) -> Any:
        if kind is list:
            return [_LIST, self._all(value, where)]
        if kind is dict:
            keys = [self.pack(key, where) for key in value]
            return [_DICT, keys, [self.pack(item, f"{where}[{key!r}]") for key, item in value.items()]]
        if kind is deque:
            return [_DEQUE, value.maxlen, self._all(value, where)]
        if kind is set:
            return [_SET, self._all(sorted(value), where)]
        if kind is np.ndarray:
            return [_ARRAY, value.dtype.str, list(value.shape), value.tobytes()]
        if isinstance(value, int):  # an enum's member
            raise StateError(f"{where}: expected a plain int, got {value!r}")
        if isinstance(value, msgspec.Struct):
            return self._struct(value, kind, where)
        number = self._class(kind, where)
        state = {name: self.pack(item, f"{where}.{name}") for name, item in _attributes(value).items()}
        return [_OBJECT, number, state]

    def _struct(self, value: Any, kind: type, where: str) -> Any:
        number, names = self._class(kind, where), kind.__struct_fields__  # type: ignore[attr-defined]
        return [_STRUCT, number, {name: self.pack(getattr(value, name), f"{where}.{name}") for name in names}]

    def _class(self, kind: type, where: str) -> int:
        if kind not in self._class_numbers:
            name = f"{kind.__module__}:{kind.__qualname__}"
            if not kind.__module__.startswith(KEPT_PACKAGES):
                raise StateError(f"{where}: a {name} cannot be kept")
            self._class_numbers[kind] = len(self.classes)
            self.classes.append(name)
        return self._class_numbers[kind]


class _Unpacker:
    """Makes objects in the order in which they were numbered."""

    def __init__(self, classes: list[type]) -> None:
        self._classes = classes
        self._made: list[Any] = []
        self._makers: tuple[Callable[..., Any], ...] = (
            self._made.__getitem__,
            self._list,
            self._tuple,
            self._dict,
            self._deque,
            self._set,
            self._row,
            self._struct,
            self._object,
            self._array,
        )

    def unpack(self, packed: Any) -> Any:
        if type(packed) is not list:
            return packed
        return self._makers[packed[0]](*packed[1:])

    def _all(self, items: list[Any]) -> list[Any]:
        return [self.unpack(item) for item in items]

    def _keep(self, made: Any) -> Any:
        self._made.append(made)
        return made

    def _tuple(self, items: list[Any]) -> Any:
        return tuple(self._all(items))

    def _list(self, items: list[Any]) -> Any:
        made = self._keep([])
        made.extend(self._all(items))
        return made

    def _dict(self, keys: list[Any], items: list[Any]) -> Any:
        made = self._keep({})
        made.update(zip(self._all(keys), self._all(items), strict=True))
        return made

    def _deque(self, longest: int | None, items: list[Any]) -> Any:
        made = self._keep(deque(maxlen=longest))
        made.extend(self._all(items))
        return made

    def _set(self, items: list[Any]) -> Any:
        made = self._keep(set())
        made.update(self._all(items))
        return made

    def _array(self, dtype: str, shape: list[int], raw: bytes) -> Any:
        return self._keep(np.frombuffer(raw, np.dtype(dtype)).reshape(shape).copy())

    def _row(self, number: int, items: list[Any]) -> Any:
        return self._classes[number](*self._all(items))

    def _struct(self, number: int, fields: dict[str, Any]) -> Any:
        kind = self._classes[number]
        place = None if kind.__struct_config__.frozen else len(self._made)  # type: ignore[attr-defined]
        if place is not None:
            self._made.append(None)
        made = kind(**{name: self.unpack(item) for name, item in fields.items()})
        if place is not None:
            self._made[place] = made
        return made

    def _object(self, number: int, state: dict[str, Any]) -> Any:
        made = self._keep(object.__new__(self._classes[number]))
        for name, item in state.items():
            setattr(made, name, self.unpack(item))
        return made


def _attributes(value: object) -> dict[str, Any]:
    kind = type(value)
    lent = getattr(kind, LENT, ())
    slots = [name for one in kind.__mro__ for name in getattr(one, "__slots__", ())]
    held = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return {name: item for name, item in {**held, **getattr(value, "__dict__", {})}.items() if name not in lent}


def _class(name: str) -> type:
    module, _, qualified = name.partition(":")
    if not module.startswith(KEPT_PACKAGES) or module not in sys.modules:
        raise StateError(f"kept state: unknown class {name}")
    found = getattr(sys.modules[module], qualified)
    if not isinstance(found, type):
        raise StateError(f"kept state: {name} is no class")
    return found
