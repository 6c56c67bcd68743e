"""Adapters: what a GGUF file of a LoRA adapter has to be, so that llama.cpp can compute with it.

llama.cpp ends the process where a value has another type than it expects, and looks at the shapes
of two dimensions only; norms in an adapter it leaves out without a word. The format: its
`llama-adapter.cpp` and `convert_lora_to_gguf.py`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cria.errors import ModelFileError
from cria.model_file.check import check_regular, parts_of
from cria.model_file.header import MAGIC, Header, TensorInfo, read_header, shown
from cria.model_file.reader import BadFile
from cria.model_file.values import Float64

OLD_MAGIC = b"algg"
"""Of adapters from before GGUF."""
TYPES = ("F32", "F16", "BF16", "Q8_0")
"""What converters write; other types are not computed on every device."""
SUFFIXES = (".lora_a", ".lora_b")
SWAPPED = "token_embd.weight"
"""A row of it is looked up, not multiplied: there, A and B have changed places."""
ALORA_KEY = "adapter.alora.invocation_tokens"


@dataclass(frozen=True)
class BaseModel:
    """What adapters have to fit to."""

    architecture: str
    shapes: Mapping[str, tuple[int, ...]]
    """Of its tensors, by their names."""
    num_layers: int
    width: int
    """Numbers between two layers."""


def read_base(path: str | os.PathLike[str]) -> BaseModel:
    """Of a model file that was checked, with all of its parts."""
    headers = []
    for part in parts_of(Path(path)):
        with part.open("rb") as file:
            headers.append(read_header(file))
    shapes = {tensor.name: tensor.shape for header in headers for tensor in header.tensors}
    first = headers[0]
    return BaseModel(
        first.architecture, shapes, _count(first, "block_count"), _count(first, "embedding_length")
    )


def check_adapter_file(path: str | os.PathLike[str], base: BaseModel) -> Header:
    """The header of an adapter that fits; ModelFileError names the file and what is wrong."""
    header = read_special(Path(path), "adapter")
    try:
        _check_kind(header, base)
        _check_alpha(header)
        _check_tensors(header, base)
    except BadFile as error:
        raise ModelFileError(f"The adapter {path} cannot be used: {error}.") from error
    return header


def read_special(path: Path, what: str) -> Header:
    """The header of a GGUF file that is no model; `what` is for the sentence."""
    check_regular(path)
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
            if magic == OLD_MAGIC:
                raise BadFile("it is an adapter from before GGUF; convert it first")
            file.seek(0)
            return read_header(file)
    except OSError as error:
        raise ModelFileError(f"Cannot read the {what} {path}: {error.strerror}.") from error
    except BadFile as error:
        raise ModelFileError(f"The {what} {path} cannot be used: {error}.") from error


def is_old_adapter(path: str | os.PathLike[str]) -> bool:
    """Whether the file is one from before GGUF; False for what cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(len(OLD_MAGIC)) == OLD_MAGIC
    except (OSError, ValueError):
        return False


def _check_kind(header: Header, base: BaseModel) -> None:
    for key, wanted in (("general.type", "adapter"), ("adapter.type", "lora")):
        told = header.metadata.get(key)
        if told != wanted:
            raise BadFile(f"{key} is {shown(told)}, not {wanted}")
    told = header.metadata.get("general.architecture")
    if told != base.architecture:
        raise BadFile(f"it is for {shown(told)} models, and this one is {base.architecture}")
    if ALORA_KEY in header.metadata:
        raise BadFile("it acts only after certain tokens (aLoRA), which is not implemented")


def _check_alpha(header: Header) -> None:
    alpha = header.metadata.get("adapter.lora.alpha", 0.0)
    if not isinstance(alpha, float) or isinstance(alpha, Float64):
        raise BadFile("adapter.lora.alpha is no number of 32 bits")
    if not (math.isfinite(alpha) and alpha >= 0):
        raise BadFile(f"adapter.lora.alpha is {alpha}")


def _check_tensors(header: Header, base: BaseModel) -> None:
    tensors = {tensor.name: tensor for tensor in header.tensors}
    for tensor in header.tensors:
        _check_tensor(tensor, base)
    names = {name[: -len(SUFFIXES[0])] for name in tensors}
    if not names:
        raise BadFile("it has no tensors")
    for name in sorted(names):
        both = [tensors.get(name + suffix) for suffix in SUFFIXES]
        if both[0] is None or both[1] is None:
            raise BadFile(f"of {name} it has only one of the two halves")
        _check_pair(name, both[0].shape, both[1].shape, base.shapes[name])


def _check_tensor(tensor: TensorInfo, base: BaseModel) -> None:
    name = tensor.name[: -len(SUFFIXES[0])]
    if not tensor.name.endswith(SUFFIXES) or any(suffix in name for suffix in SUFFIXES):
        if tensor.name.endswith("_norm.weight"):
            raise BadFile(f"it changes {tensor.name}, and llama.cpp would leave that out")
        raise BadFile(f"the tensor {tensor.name} is no half of a pair")
    if name not in base.shapes:
        raise BadFile(f"the model has no tensor {name}")
    if tensor.type.name not in TYPES:
        raise BadFile(f"{tensor.name} has the type {tensor.type.name}, not one of {_list(TYPES)}")


def _check_pair(name: str, a: tuple[int, ...], b: tuple[int, ...], base: tuple[int, ...]) -> None:
    """All in ggml's order: A is [n_in, rank], B is [rank, n_out], the model's [n_in, n_out]."""
    a, b, base = _padded(a), _padded(b), _padded(base)
    rank = b[0]
    # The rows of the swapped A are those of the tokens, and B leads to the width.
    wanted = (rank, base[1]) if name == SWAPPED else (base[0], rank)
    columns = base[0] if name == SWAPPED else base[1]
    if a != (*wanted, *base[2:]) or b != (rank, columns, *base[2:]):
        raise BadFile(
            f"the halves of {name} are {_shape(a)} and {_shape(b)}, which does not fit the "
            f"model's {_shape(base)}"
        )


def _padded(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape + (1,) * (4 - len(shape))


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape[:2] if shape[2:] == (1, 1) else shape))


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names)


def _count(header: Header, name: str) -> int:
    value = header.of_model(name)
    return value if isinstance(value, int) else 0
