"""`AdapterSet`: which adapters a sequence is computed with, and how strongly each one acts.

Two sequences may share a step, and one may take a prefix over from the other, exactly if their sets
are equal: so there is one spelling of each.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

AdapterSet = tuple[tuple[int, float], ...]
"""Adapters' ids with their scales, rising, none of them 0; empty is the model as it is."""

BASE: AdapterSet = ()
MAX_SCALE = 1000.0
"""Either way; far beyond what any model survives."""

_FLOAT32 = struct.Struct("<f")


def make_set(scales: Mapping[int, float]) -> AdapterSet:
    """The one spelling: llama.cpp has 32 bits for a scale, and ignores those of 0."""
    rounded = ((number, _float32(scale)) for number, scale in sorted(scales.items()))
    return tuple(pair for pair in rounded if pair[1])


def _float32(number: float) -> float:
    return float(_FLOAT32.unpack(_FLOAT32.pack(number))[0])
