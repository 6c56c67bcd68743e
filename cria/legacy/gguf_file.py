"""The head of a GGUF file as bytes; the format is described in ggml's document `gguf.md`."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cria.legacy.formats import ALIGNMENT

U32, I32, F32, STRING, ARRAY = 4, 5, 6, 8, 9  # enum gguf_type
VERSION = 3

Pair = tuple[str, bytes]
"""A key, and its value with the value's type before it."""


class Planned(NamedTuple):
    """A tensor that will be written; `shape` has the length of a row first."""

    name: str
    shape: Sequence[int]
    type: int
    num_bytes: int


def u32(value: int) -> bytes:
    return struct.pack("<II", U32, value)


def f32(value: float) -> bytes:
    return struct.pack("<If", F32, value)


def string(value: str) -> bytes:
    return struct.pack("<I", STRING) + _text(value.encode())


def strings(values: Sequence[bytes]) -> bytes:
    return struct.pack("<IIQ", ARRAY, STRING, len(values)) + b"".join(map(_text, values))


def i32s(values: Sequence[int]) -> bytes:
    return struct.pack(f"<IIQ{len(values)}i", ARRAY, I32, len(values), *values)


def f32s(values: Sequence[float]) -> bytes:
    return struct.pack(f"<IIQ{len(values)}f", ARRAY, F32, len(values), *values)


def _text(data: bytes) -> bytes:
    return struct.pack("<Q", len(data)) + data


def head(pairs: Sequence[Pair], tensors: Sequence[Planned]) -> bytes:
    """All that comes before the data, padded; the tensors follow in this order, each padded."""
    parts = [struct.pack("<4sIQQ", b"GGUF", VERSION, len(tensors), len(pairs))]
    for key, value in pairs:
        parts += [_text(key.encode()), value]
    offset = 0
    for tensor in tensors:
        count = len(tensor.shape)
        parts += [_text(tensor.name.encode()), struct.pack(f"<I{count}Q", count, *tensor.shape)]
        parts.append(struct.pack("<IQ", tensor.type, offset))
        offset += padded(tensor.num_bytes)
    data = b"".join(parts)
    return data + padding(len(data))


def num_data_bytes(tensors: Iterable[Planned]) -> int:
    return sum(padded(tensor.num_bytes) for tensor in tensors)


def padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def padding(size: int) -> bytes:
    """What has to follow so many bytes."""
    return bytes(padded(size) - size)
