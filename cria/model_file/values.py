"""The values of a GGUF file's metadata: numbers, texts, and arrays of either."""

from __future__ import annotations

import struct
from typing import NamedTuple

from cria.model_file.reader import BadFile, Reader

MAX_ARRAY_LENGTH = 64 * 1024 * 1024
STRING, ARRAY, FLOAT64 = 8, 9, 12  # enum gguf_type
LAYOUTS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
"""Of numbers, by their type."""

_TYPE = struct.Struct("<I")
_ARRAY_HEAD = struct.Struct("<IQ")


class Numbers(NamedTuple):
    """An array of numbers, as the file has them."""

    type: int
    data: bytes

    def __len__(self) -> int:
        return len(self.data) // LAYOUTS[self.type].size

    def values(self) -> list[int | float | bool]:
        """All of them."""
        return [value for (value,) in LAYOUTS[self.type].iter_unpack(self.data)]


class Float64(float):
    """A number of 64 bits; where 32 are expected, llama.cpp ends the process."""


Value = int | float | bool | str | Numbers | list[bytes]


def read_value(reader: Reader, key: str) -> Value:
    """The value behind a key; BadFile for what llama.cpp does not read."""
    (type,) = reader.numbers(_TYPE)
    if type == STRING:
        return reader.string(f"the value of {key}").decode("utf-8", "replace")
    if type == ARRAY:
        return _read_array(reader, key)
    if type not in LAYOUTS:
        raise BadFile(f"{key} has the unknown type {type}")
    (number,) = reader.numbers(LAYOUTS[int(type)])
    return Float64(number) if type == FLOAT64 else number


def _read_array(reader: Reader, key: str) -> Numbers | list[bytes]:
    type, length = map(int, reader.numbers(_ARRAY_HEAD))
    if length > MAX_ARRAY_LENGTH:
        raise BadFile(f"{key} has {length} values; {MAX_ARRAY_LENGTH} are the most")
    if type == STRING:
        return _read_strings(reader, key, length)
    if type not in LAYOUTS:
        raise BadFile(f"{key} is an array of values of type {type}, which cannot be in one")
    return Numbers(type, reader.take(length * LAYOUTS[type].size))


def _read_strings(reader: Reader, key: str, count: int) -> list[bytes]:
    if 8 * count > reader.num_left:
        raise BadFile(f"{key} has {count} texts, more than the rest of the file can hold")
    return reader.strings(count, f"a text of {key}")
