"""A LoRA adapter from before GGUF to a GGUF adapter.

The old file has A transposed, and one rank for all tensors. Today A has rows as long as the base's,
and the rank is that of B.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from cria.drafts import drafted
from cria.errors import ModelFileError
from cria.legacy import gguf_file
from cria.legacy.formats import Format
from cria.legacy.gguf_file import Planned, f32, string
from cria.legacy.model import opened
from cria.legacy.source import Source
from cria.legacy.tensors import LAYER, Stored, read_tensor
from cria.model_file import BaseModel, Header, check_model_file, read_base
from cria.model_file.reader import BadFile

SECTION = "the header"
MAX_RANK = 1024
MAX_TENSOR_BYTES = 256 * 1024 * 1024
MAX_TENSORS = 2 * 9 * 512
FORMAT = Format("ggla", 1)
FLOATS = {0: "<f4", 1: "<f2"}
NAME = re.compile(r"(?:layers|blk)\.(0|[1-9][0-9]{0,2})\.([a-z0-9_.]+\.weight)\.lora([AB])")
ROTATED = ("attn_q.weight", "attn_k.weight")

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Adapter:
    rank: int
    alpha: int
    pairs: dict[str, dict[str, Stored]]
    """By the base tensor's name of today: `A` and `B`."""


def convert_adapter(
    source: Path, target: Path, *, base: Path | None = None, hf_rows: bool = False
) -> None:
    """Write the GGUF adapter `target` from a file of the kind `ggla`.

    With `base`, a GGUF file, every tensor is compared with the one that it is for. `hf_rows`: the
    rows of B for queries and keys are in Hugging Face's order, and get llama.cpp's; needs `base`.
    ModelFileError says what is wrong; the target appears under its name only when it is whole.
    """
    if hf_rows and base is None:
        raise ModelFileError("The order of rows needs the base model; give --base.")
    header = None if base is None else check_model_file(base)
    with opened(source, target) as file:
        adapter = read_adapter(file)
        if base is not None:
            check_base(adapter, read_base(base))
        with drafted(target) as draft:
            write_adapter(file, adapter, draft, header if hf_rows else None)


def read_adapter(file: BinaryIO) -> Adapter:
    """BadFile says what is wrong with it."""
    source = Source(file)
    magic, version = source.take(4, SECTION), source.numbers("I", SECTION)[0]
    rank, alpha = source.numbers("Ii", SECTION)
    if magic != b"algg" or version != 1:
        raise BadFile(f"it is no ggla adapter of version 1, but of version {version}")
    if not 0 < rank <= MAX_RANK or alpha <= 0:
        raise BadFile(f"its rank is {rank} and its alpha {alpha}; both have to be above 0")
    pairs: dict[str, dict[str, Stored]] = {}
    number = 0
    while source.num_left:
        if number == MAX_TENSORS:
            raise BadFile(f"it has more than {MAX_TENSORS} tensors")
        _add(pairs, read_tensor(source, FORMAT, number), rank)
        number += 1
    _check_whole(pairs, source)
    return Adapter(rank, alpha, pairs)


def _add(pairs: dict[str, dict[str, Stored]], tensor: Stored, rank: int) -> None:
    match = NAME.fullmatch(tensor.name)
    known = (
        None if match is None else {**LAYER, **{new: new for new in LAYER.values()}}.get(match[2])
    )
    if match is None or known is None or "norm" in known:
        raise BadFile(f"it has the tensor {tensor.name}, which is for no matrix of a llama layer")
    if tensor.type.number not in FLOATS or len(tensor.shape) != 2:
        raise BadFile(
            f"the tensor {tensor.name} is {tensor.type.today.name} with {len(tensor.shape)} "
            "dimensions; adapters have matrices of F32 or F16"
        )
    if tensor.shape[0] != rank or tensor.num_bytes > MAX_TENSOR_BYTES:
        raise BadFile(
            f"the tensor {tensor.name} is {tensor.shape[0]} x {tensor.shape[1]}, "
            f"and the rank {rank}"
        )
    pair = pairs.setdefault(f"blk.{match[1]}.{known}", {})
    if match[3] in pair:
        raise BadFile(f"it has the tensor {tensor.name} twice")
    pair[match[3]] = tensor


def _check_whole(pairs: dict[str, dict[str, Stored]], source: Source) -> None:
    if not pairs:
        raise BadFile(f"it is truncated at offset {source.num_bytes}: it has no tensors")
    for name, pair in pairs.items():
        if len(pair) < 2:
            (only,) = pair
            raise BadFile(f"its lora{only} for {name} has no counterpart")


def check_base(adapter: Adapter, base: BaseModel) -> None:
    """BadFile if the adapter is for another model."""
    if base.architecture != "llama":
        raise BadFile(f"its base is a model of the kind {base.architecture}, and has to be llama")
    for name, pair in adapter.pairs.items():
        shape = pair["A"].shape[1], pair["B"].shape[1]
        if name not in base.shapes:
            raise BadFile(f"it is for a tensor {name}, which the base does not have")
        if (own := base.shapes[name]) != shape:
            raise BadFile(f"it is for a tensor {name} of {shape}, and the base's is {own}")


def write_adapter(
    file: BinaryIO, adapter: Adapter, target: Path, reordered_for: Header | None
) -> None:
    pairs = [
        ("general.architecture", string("llama")),
        ("general.type", string("adapter")),
        ("adapter.type", string("lora")),
        ("adapter.lora.alpha", f32(float(adapter.alpha))),
    ]
    planned = []
    for name, pair in adapter.pairs.items():
        a, b = pair["A"], pair["B"]
        planned.append(Planned(name + ".lora_a", a.shape[::-1], a.type.number, a.num_bytes))
        planned.append(Planned(name + ".lora_b", b.shape, b.type.number, b.num_bytes))
    with target.open("wb") as sink:
        sink.write(gguf_file.head(pairs, planned))
        for name, pair in adapter.pairs.items():
            _write(sink, read_matrix(file, pair["A"]).T)
            rows = read_matrix(file, pair["B"])
            _write(sink, rows if reordered_for is None else _reordered(name, rows, reordered_for))


def _write(sink: BinaryIO, matrix: Array) -> None:
    data = matrix.tobytes()
    sink.write(data)
    sink.write(gguf_file.padding(len(data)))


def read_matrix(file: BinaryIO, tensor: Stored) -> Array:
    """[rows, rank]; of NaN or infinite values nothing could be computed."""
    source = Source(file)
    source.seek(tensor.start)
    data = source.take(tensor.num_bytes, f"the data of {tensor.name}")
    matrix: Array = np.frombuffer(data, dtype=FLOATS[tensor.type.number])
    if not bool(np.isfinite(matrix).all()):
        raise BadFile(f"the tensor {tensor.name} has values that are no numbers")
    return matrix.reshape(tensor.shape[::-1])


def _reordered(name: str, rows: Array, header: Header) -> Array:
    if not name.endswith(ROTATED):
        return rows
    key = "attention.head_count_kv" if name.endswith(ROTATED[1]) else "attention.head_count"
    heads = header.of_model(key) or header.of_model("attention.head_count")
    if not isinstance(heads, int) or heads < 1 or len(rows) % (2 * heads):
        raise BadFile(f"the base has no number of heads that {len(rows)} rows of {name} could be")
    return consecutive(rows, heads)


def consecutive(rows: Array, num_heads: int) -> Array:
    """Hugging Face rotates value i with the one half a head later, llama.cpp 2i with 2i + 1."""
    width = rows.shape[1]
    parted = rows.reshape(num_heads, 2, -1, width)
    return parted.swapaxes(1, 2).reshape(-1, width)
