"""Tensors of a safetensors file as numpy arrays, checked before they are touched.

The package gguf parses the header. What it does not look at is checked here: a file that ends
early, or a header that lies, is a `ModelFileError` and never a wrong number.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cria.errors import ModelFileError

Array = npt.NDArray[Any]

DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16}
_BROKEN = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError)


class TensorFile:
    """The tensors of one file, by name."""

    def __init__(self, path: Path) -> None:
        """ModelFileError if the header makes no sense."""
        from gguf.utility import SafetensorsLocal

        self._path = path
        try:
            self._tensors = SafetensorsLocal(path).tensors
        except _BROKEN as error:
            raise self._broken(f"its header does not parse ({error})") from error
        self._size = path.stat().st_size

    @property
    def names(self) -> list[str]:
        return list(self._tensors)

    def read(self, name: str) -> Array:
        """One tensor as float32; ModelFileError if it is missing, damaged, or no floats."""
        if name not in self._tensors:
            raise ModelFileError(f"{self._path} has no tensor {name}: it is no BERT model.")
        tensor = self._tensors[name]
        try:
            shape = tuple(int(size) for size in tensor.shape)
            kind, count = DTYPES[tensor.dtype], math.prod(shape)
            offset, size = int(tensor.data_range.offset), int(tensor.data_range.size)
        except _BROKEN as error:
            raise self._broken(f"tensor {name} is not of floating-point numbers") from error
        if min(shape, default=0) < 0 or size != count * np.dtype(kind).itemsize:
            raise self._broken(f"tensor {name} has another size than its shape says")
        if offset < 0 or offset + size > self._size:
            raise self._broken(f"tensor {name} reaches beyond the end of the file")
        numbers = np.fromfile(self._path, kind, count, offset=offset).reshape(shape)
        return _as_float32(numbers)

    def _broken(self, reason: str) -> ModelFileError:
        return ModelFileError(f"{self._path} is damaged: {reason}.")


def _as_float32(numbers: Array) -> Array:
    if numbers.dtype == np.uint16:  # bfloat16 is the upper half of a float32
        return (numbers.astype(np.uint32) << 16).view(np.float32)
    return numbers.astype(np.float32)
