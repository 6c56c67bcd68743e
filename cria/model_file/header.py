"""`Header`: all of a GGUF file but the weights.

Reading it checks the structure: counts against the file's size, names that come twice, tensors that
lie one behind the other and within the file.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from cria.model_file.reader import BadFile, Reader
from cria.model_file.tensor_types import TYPES, TensorType
from cria.model_file.values import Value, read_value

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_TENSORS = 65_535
MAX_NAME_BYTES = 63
MAX_DIMENSIONS = 4
MAX_ALIGNMENT = 1024 * 1024
DEFAULT_ALIGNMENT = 32
MIN_PAIR_BYTES, MIN_TENSOR_BYTES = 8 + 1 + 4 + 1, 8 + 4 + 4 + 8
"""The shortest key with its value; the shortest tensor."""

_HEAD = struct.Struct("<IQQ")
_COUNT = struct.Struct("<I")
_SHAPES = [struct.Struct(f"<{count}Q") for count in range(MAX_DIMENSIONS + 1)]
_PLACE = struct.Struct("<IQ")


@dataclass(frozen=True)
class TensorInfo:
    """`shape` is in ggml's order, the length of a row first; `offset` counts from `data_start`."""

    name: str
    shape: tuple[int, ...]
    type: TensorType
    offset: int

    @property
    def num_values(self) -> int:
        return math.prod(self.shape)

    @property
    def num_bytes(self) -> int:
        return self.num_values // self.type.block_length * self.type.block_bytes


@dataclass(frozen=True)
class Header:
    """What the file says of itself."""

    metadata: Mapping[str, Value]
    tensors: tuple[TensorInfo, ...]
    data_start: int
    """Bytes from the beginning of the file."""
    num_bytes: int
    """Of the whole file."""

    @property
    def architecture(self) -> str:
        """Such as `llama`; empty if it is not told."""
        return str(self.metadata.get("general.architecture", ""))

    @property
    def tokenizer(self) -> str:
        """The kind of its vocabulary, such as `gpt2` (byte pairs) or `bert` (WordPiece)."""
        return str(self.metadata.get("tokenizer.ggml.model", ""))

    def of_model(self, name: str) -> Value | None:
        """A value whose key begins with the architecture, such as `llama.block_count`."""
        return self.metadata.get(f"{self.architecture}.{name}")

    @property
    def num_weights(self) -> int:
        """Parameters of the model that are in this file."""
        return sum(tensor.num_values for tensor in self.tensors)


def read_header(file: BinaryIO) -> Header:
    """Read it from the file's beginning; BadFile says what is wrong."""
    reader = Reader(file)
    num_tensors, num_pairs = _read_head(reader)
    metadata = _read_metadata(reader, num_pairs)
    alignment = _alignment(metadata)
    tensors = _read_tensors(reader, num_tensors)
    start = reader.position if not tensors else _padded(reader.position, alignment)
    _check_places(tensors, alignment, reader.num_bytes - start)
    return Header(metadata, tensors, start, reader.num_bytes)


def _read_head(reader: Reader) -> tuple[int, int]:
    if reader.take(len(MAGIC)) != MAGIC:
        raise BadFile("it is not a GGUF file")
    version, num_tensors, num_pairs = map(int, reader.numbers(_HEAD))
    if version not in VERSIONS:
        if version in (v << 24 for v in (1, *VERSIONS)):
            raise BadFile("it was written for a big-endian machine; convert it again")
        raise BadFile(f"it has GGUF version {version}; llama.cpp reads 2 and 3")
    if num_tensors > MAX_TENSORS:
        raise BadFile(f"it claims to have {num_tensors} tensors; {MAX_TENSORS} are the most")
    if num_tensors * MIN_TENSOR_BYTES + num_pairs * MIN_PAIR_BYTES > reader.num_left:
        raise BadFile(
            f"it claims to have {num_pairs} keys and {num_tensors} tensors, "
            f"more than its {reader.num_bytes} bytes can hold"
        )
    return num_tensors, num_pairs


def _read_metadata(reader: Reader, count: int) -> dict[str, Value]:
    metadata: dict[str, Value] = {}
    for _ in range(count):
        key = reader.string("a key").decode("utf-8", "replace")
        if not key:
            raise BadFile("it has an empty key")
        if key in metadata:
            raise BadFile(f"it has the key {key} twice")
        metadata[key] = read_value(reader, key)
    return metadata


def _alignment(metadata: Mapping[str, Value]) -> int:
    value = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(value, int) or not 0 < value <= MAX_ALIGNMENT or value & (value - 1):
        raise BadFile(f"general.alignment is {shown(value)}, which is no sensible power of two")
    return value


def _read_tensors(reader: Reader, count: int) -> tuple[TensorInfo, ...]:
    tensors: dict[str, TensorInfo] = {}
    for _ in range(count):
        tensor = _read_tensor(reader)
        if tensor.name in tensors:
            raise BadFile(f"it has the tensor {tensor.name} twice")
        tensors[tensor.name] = tensor
    return tuple(tensors.values())


def _read_tensor(reader: Reader) -> TensorInfo:
    name = reader.string("the name of a tensor").decode("utf-8", "replace")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise BadFile(f"it has a tensor whose name is longer than {MAX_NAME_BYTES} bytes")
    (num_dimensions,) = reader.numbers(_COUNT)
    if not 0 < num_dimensions <= MAX_DIMENSIONS:
        raise BadFile(f"the tensor {name} has {num_dimensions} dimensions")
    shape = tuple(map(int, reader.numbers(_SHAPES[int(num_dimensions)])))
    kind, offset = map(int, reader.numbers(_PLACE))
    if kind not in TYPES:
        raise BadFile(f"the tensor {name} has the type {kind}, which llama.cpp does not know")
    tensor = TensorInfo(name, shape, TYPES[kind], offset)
    _check_shape(tensor)
    return tensor


def _check_shape(tensor: TensorInfo) -> None:
    shape = " x ".join(map(str, tensor.shape))
    if not all(0 < size < 2**63 for size in tensor.shape) or tensor.num_values >= 2**63:
        raise BadFile(f"the tensor {tensor.name} is {shape}")
    if tensor.shape[0] % tensor.type.block_length:
        raise BadFile(
            f"the tensor {tensor.name} is {shape}, but its type {tensor.type.name} "
            f"needs rows of a multiple of {tensor.type.block_length}"
        )


def _check_places(tensors: tuple[TensorInfo, ...], alignment: int, num_bytes: int) -> None:
    """One behind the other, each at a multiple of the alignment, and all within the data."""
    end = 0
    for tensor in tensors:
        if tensor.offset != end:
            raise BadFile(f"the tensor {tensor.name} is at {tensor.offset} and should be at {end}")
        if end + tensor.num_bytes > num_bytes:
            raise BadFile(
                f"{end + tensor.num_bytes - num_bytes} bytes and more are missing at its end; "
                "fetch it again"
            )
        end = _padded(end + tensor.num_bytes, alignment)


def _padded(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


def shown(value: object) -> str:
    """For a sentence: not too much of it."""
    text = str(value)
    return text if len(text) <= 60 else text[:60] + "..."
