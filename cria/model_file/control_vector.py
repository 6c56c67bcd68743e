"""Control vectors: a direction for each layer, that is added to what the layer computes.

GGUF files as llama.cpp's `cvector-generator` writes them: tensors `direction.LAYER`, the first one
of layer 1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cria.errors import ModelFileError
from cria.model_file.adapter import BaseModel, read_special
from cria.model_file.header import Header, TensorInfo, shown
from cria.model_file.reader import BadFile

Directions = npt.NDArray[np.float32]

KIND = "controlvector"
_NAME = re.compile(r"direction\.([0-9]{1,4})", re.ASCII)


def sum_control_vectors(vectors: Sequence[tuple[str, float]], base: BaseModel) -> Directions:
    """[num_layers - 1, width]: files and their scales, added up; 0 where none has a direction.

    ModelFileError names the file and what is wrong with it.
    """
    total = np.zeros((max(base.num_layers - 1, 0), base.width), np.float32)
    for path, scale in vectors:
        for layer, direction in read_control_vector(Path(path), base).items():
            total[layer - 1] += np.float32(scale) * direction
    return total


def read_control_vector(path: Path, base: BaseModel) -> dict[int, Directions]:
    """The directions by their layers; ModelFileError if they do not fit the model."""
    header = read_special(path, "control vector")
    try:
        _check_kind(header, base)
        layers = {_layer_of(tensor, base): tensor for tensor in header.tensors}
        if not layers:
            raise BadFile("it has no directions")
        return {layer: _read(path, header, tensor) for layer, tensor in layers.items()}
    except BadFile as error:
        raise ModelFileError(f"The control vector {path} cannot be used: {error}.") from error
    except OSError as error:
        raise ModelFileError(f"Cannot read the control vector {path}: {error.strerror}.") from error


def _check_kind(header: Header, base: BaseModel) -> None:
    if header.architecture != KIND:
        raise BadFile(f"it holds {shown(header.architecture or 'nothing known')}, not a {KIND}")
    hint = header.metadata.get(f"{KIND}.model_hint", base.architecture)
    if hint != base.architecture:
        raise BadFile(f"it is for {shown(hint)} models, and this one is {base.architecture}")


def _layer_of(tensor: TensorInfo, base: BaseModel) -> int:
    match = _NAME.fullmatch(tensor.name)
    layer = int(match[1]) if match else 0
    if str(layer) != (match[1] if match else ""):
        raise BadFile(f"the tensor {tensor.name} is no direction of a layer")
    if not 0 < layer < base.num_layers:
        raise BadFile(f"{tensor.name} is not for one of the layers 1 to {base.num_layers - 1}")
    if tensor.type.name != "F32" or tensor.shape != (base.width,):
        raise BadFile(f"{tensor.name} does not have {base.width} numbers of 32 bits")
    return layer


def _read(path: Path, header: Header, tensor: TensorInfo) -> Directions:
    with path.open("rb") as file:
        file.seek(header.data_start + tensor.offset)
        direction = np.frombuffer(file.read(tensor.num_bytes), "<f4")
    if len(direction) != tensor.shape[0] or not np.isfinite(direction).all():
        raise BadFile(f"{tensor.name} holds what is no number")
    return direction
