"""Vectors of the engine to vectors of an answer, or to scores."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


def unit_vectors(data: bytes, count: int, dimensions: int | None = None) -> Vectors:
    """[count, dimensions], each of length 1; with fewer dimensions than there are, the first ones.

    `data` are `count` vectors of the same size as little-endian 32-bit floats. A vector of zeros
    stays one.
    """
    vectors = np.frombuffer(data, "<f4").reshape(count, -1)[:, :dimensions].astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths == 0, 1.0, lengths)).astype(np.float32)


def scores(data: bytes, count: int) -> list[float]:
    """The first number of each vector."""
    numbers: list[float] = np.frombuffer(data, "<f4").reshape(count, -1)[:, 0].tolist()
    return numbers
