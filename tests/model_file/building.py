"""GGUF files as bytes, right and wrong ones."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from tempfile import TemporaryFile
from typing import Any, NamedTuple

from cria.model_file.header import Header, read_header

ALIGNMENT = 32
U32, I32, F32, BOOL, STRING, ARRAY, U64 = 4, 5, 6, 7, 8, 9, 10  # enum gguf_type


class Given(NamedTuple):
    """A tensor of the file: what its header says; `num_bytes` of data follow."""

    name: str
    shape: Sequence[int] = (32,)
    type: int = 0
    num_bytes: int = 128
    offset: int | None = None
    """None: where it is."""


class Raw(bytes):
    """A value as it is in the file, with its type."""


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def value(given: Any) -> bytes:
    if isinstance(given, Raw):
        return given
    if isinstance(given, (str, bytes)):
        return struct.pack("<I", STRING) + text(given)
    if isinstance(given, bool):
        return struct.pack("<I?", BOOL, given)
    if isinstance(given, int):
        return _integer(given)
    if isinstance(given, float):
        return struct.pack("<If", F32, given)
    if given and isinstance(given[0], int):
        return struct.pack(f"<IIQ{len(given)}i", ARRAY, I32, len(given), *given)
    return struct.pack("<IIQ", ARRAY, STRING, len(given)) + b"".join(map(text, given))


def _integer(given: int) -> bytes:
    """Of the type that llama.cpp expects most often."""
    if given < 0:
        return struct.pack("<Ii", I32, given)
    return struct.pack("<II", U32, given) if given < 2**32 else struct.pack("<IQ", U64, given)


def gguf(
    metadata: Mapping[str, Any] | Iterable[tuple[str, Any]] = (),
    tensors: Sequence[Given] = (),
    *,
    version: int = 3,
    counts: tuple[int, int] | None = None,
) -> bytes:
    """A whole file; `counts` of tensors and keys are what it claims to have."""
    pairs = list(metadata.items() if isinstance(metadata, Mapping) else metadata)
    data = b"GGUF" + struct.pack("<IQQ", version, *(counts or (len(tensors), len(pairs))))
    data += b"".join(text(key) + value(each) for key, each in pairs)
    end = 0
    for tensor in tensors:
        offset = end if tensor.offset is None else tensor.offset
        shape = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        data += text(tensor.name) + shape + struct.pack("<IQ", tensor.type, offset)
        end = padded(end + tensor.num_bytes)
    data += bytes(padded(len(data)) - len(data))
    return data + b"".join(bytes(padded(tensor.num_bytes)) for tensor in tensors)


def padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def header_of(metadata: Mapping[str, Any], tensors: Sequence[Given] = ()) -> Header:
    """What a file with these says of itself."""
    with TemporaryFile() as file:
        file.write(gguf(metadata, tensors))
        file.seek(0)
        return read_header(file)
