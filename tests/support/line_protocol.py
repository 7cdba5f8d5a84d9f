"""Line protocol read strictly, as InfluxDB 3's reference has it; knows nothing of the writer under test."""

import re

_ESCAPED = {"table": ", ", "key": ",= ", "tag": ",= "}
_INTEGER = re.compile(r"-?[0-9]+i\Z")
_UNSIGNED = re.compile(r"[0-9]+u\Z")
_FLOAT = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z")
_BOOLEANS = {"t": True, "T": True, "true": True, "f": False, "F": False, "false": False}
_NAME = re.compile(r"[A-Za-z0-9][^\x00-\x1f]*\Z")


class LineError(ValueError):
    """Not line protocol, or against a table's columns."""


def parse(line: str) -> tuple[str, dict[str, str], dict[str, tuple[str, object]], int]:
    """Return table, tags, fields with their types, time."""
    reader = _Reader(line)
    table = _named(reader.word("table", ", "))
    tags: dict[str, str] = {}
    while reader.take(","):
        key = _named(reader.word("key", "="))
        reader.expect("=")
        value = reader.word("tag", ", ")
        if not value or key in tags or key == "time":
            raise LineError(f"tag {key!r}: empty, twice, or time")
        tags[key] = value
    reader.expect(" ")
    fields: dict[str, tuple[str, object]] = {}
    while True:
        key = _named(reader.word("key", "="))
        reader.expect("=")
        if key in fields or key in tags or key == "time":
            raise LineError(f"field {key!r}: twice, a tag, or time")
        fields[key] = reader.value()
        if not reader.take(","):
            break
    reader.expect(" ")
    stamp = reader.rest()
    if not re.fullmatch(r"-?[0-9]{1,19}", stamp):
        raise LineError(f"timestamp: expected whole nanoseconds, got {stamp!r}")
    return table, tags, fields, int(stamp)


def _named(name: str) -> str:
    if not _NAME.match(name):
        raise LineError(f"name {name!r}: expected to begin with a letter or a digit")
    return name


class _Reader:
    def __init__(self, line: str) -> None:
        self._line, self._at = line, 0

    def take(self, sign: str) -> bool:
        if self._line.startswith(sign, self._at):
            self._at += 1
            return True
        return False

    def expect(self, sign: str) -> None:
        if not self.take(sign):
            raise LineError(f"column {self._at}: expected {sign!r}")

    def rest(self) -> str:
        return self._line[self._at :]

    def word(self, kind: str, ends: str) -> str:
        word = ""
        while self._at < len(self._line) and self._line[self._at] not in ends:
            sign = self._line[self._at]
            if sign == "\\" and self._line[self._at + 1 : self._at + 2] in tuple(_ESCAPED[kind]):
                self._at += 1
                sign = self._line[self._at]
            elif sign in _ESCAPED[kind]:
                raise LineError(f"column {self._at}: {sign!r} is not escaped")
            word += sign
            self._at += 1
        return word

    def value(self) -> tuple[str, object]:
        if self.take('"'):
            text = ""
            while not self.take('"'):
                if self._at >= len(self._line):
                    raise LineError("string: no end")
                if self._line[self._at] == "\\" and self._line[self._at + 1 : self._at + 2] in ('"', "\\"):
                    self._at += 1
                text += self._line[self._at]
                self._at += 1
            return "string", text
        word = self.word("tag", ", ")
        if _INTEGER.match(word) and -(2**63) <= int(word[:-1]) < 2**63:
            return "integer", int(word[:-1])
        if _UNSIGNED.match(word) and int(word[:-1]) < 2**64:
            return "unsigned", int(word[:-1])
        if word in _BOOLEANS:
            return "boolean", _BOOLEANS[word]
        if _FLOAT.match(word):
            return "float", float(word)
        raise LineError(f"field value {word!r}: of no type")
