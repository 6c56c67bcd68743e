"""How values were stored, for each version, and what makes today's blocks of them.

Before version 2, a byte had two neighbours of a block; since then it has value i and value i + 16.
Before version 3, the scales of Q4_0, Q4_1 and Q8_0 were single precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cria.model_file.reader import BadFile
from cria.model_file.tensor_types import TYPES, TensorType

Blocks = npt.NDArray[np.uint8]
"""[number of blocks, bytes of a block]"""

F32, F16, Q8_0 = 0, 1, 8
MAX_HALF = 65504.0
SMALLEST_HALF = 2.0**-14
"""Smaller ones lose bits, or become 0."""
REMOVED = {4: "Q4_2", 5: "Q4_3"}
INTERMEDIATE = {9: "Q8_1", 15: "Q8_K"}
K_QUANTS = range(10, 15)
LOW_NIBBLES, FOUR = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(4)


@dataclass(frozen=True)
class Recoding:
    """The fields of a stored block of 32 values: scales, fifth bits, values."""

    num_scales: int
    num_high_bytes: int
    is_wide: bool
    """Scales are single precision, and become half."""
    is_interleaved: bool
    """Bytes hold neighbours."""

    def apply(self, blocks: Blocks) -> tuple[Blocks, int]:
        """Today's blocks, and how many scales lost more than the usual last bits.

        BadFile if a scale has no place in half precision.
        """
        num_head = self.num_scales * (4 if self.is_wide else 2)
        head, rest = blocks[:, :num_head], blocks[:, num_head:]
        num_tiny = 0
        if self.is_wide:
            head, num_tiny = narrowed(head)
        high, values = rest[:, : self.num_high_bytes], rest[:, self.num_high_bytes :]
        if self.is_interleaved:
            values = parted(values)
        return joined((head, high, values)), num_tiny


@dataclass(frozen=True)
class StoredType:
    """A type of tensors in a file of one version."""

    number: int
    """In the old file and in GGUF."""
    block_bytes: int
    recoding: Recoding | None
    """None: the bytes stay."""

    @property
    def today(self) -> TensorType:
        return TYPES[self.number]


def narrowed(scales: Blocks) -> tuple[Blocks, int]:
    """Single precision to half, each rounded once to the nearest."""
    wide = np.ascontiguousarray(scales).view("<f4")
    sizes = np.abs(wide)
    if not bool((sizes <= MAX_HALF).all()):  # NaN is not
        worst = wide[~(sizes <= MAX_HALF)][0]
        raise BadFile(f"a scale is {worst}, which half precision cannot hold")
    num_tiny = int(np.count_nonzero((sizes > 0) & (sizes < SMALLEST_HALF)))
    return wide.astype("<f2").view(np.uint8), num_tiny


def parted(values: Blocks) -> Blocks:
    """From neighbours in a byte to the two halves of a block, low nibbles first.

    Eight bytes at once: byte i of the first eight has the values 2i and 2i + 1, and byte i of the
    last eight those that are 16 further.
    """
    first, last = np.ascontiguousarray(np.ascontiguousarray(values).view("<u8").T)
    even = first & LOW_NIBBLES | (last & LOW_NIBBLES) << FOUR
    odd = first >> FOUR & LOW_NIBBLES | last & ~LOW_NIBBLES
    pairs = _bytes(even).astype("<u2") | _bytes(odd).astype("<u2") << np.uint16(8)
    blocks: Blocks = pairs.astype("<u2", copy=False).view(np.uint8).reshape(len(values), -1)
    return blocks


def _bytes(eights: npt.NDArray[np.uint64]) -> Blocks:
    return eights.astype("<u8", copy=False).view(np.uint8)


def joined(parts: Sequence[Blocks]) -> Blocks:
    """Side by side; of each block a part is moved as a whole, which is faster than its bytes."""
    whole = np.empty((len(parts[0]), sum(part.shape[1] for part in parts)), dtype=np.uint8)
    start = 0
    for part in parts:
        width = part.shape[1]
        if width:
            place = whole[:, start : start + width].view(f"V{width}")
            place[:] = np.ascontiguousarray(part).view(f"V{width}")
        start += width
    return whole


def stored_type(number: int, version: int) -> StoredType:
    """BadFile says why there is none, and what to do."""
    if number in REMOVED:
        raise BadFile(
            f"the type {REMOVED[number]}, which llama.cpp gave up in May 2023 and nothing of today "
            "can hold exactly; quantise the original model again"
        )
    if number in INTERMEDIATE:
        raise BadFile(f"the type {INTERMEDIATE[number]}, which is for intermediate results alone")
    if number in K_QUANTS and version < 3:
        raise BadFile(f"the type {TYPES[number].name}, which came only with version 3")
    fields = _FIELDS.get(number)
    if fields is None:
        if number not in (F32, F16, *K_QUANTS):
            raise BadFile(f"the type {number}, which no llama file has")
        return StoredType(number, TYPES[number].block_bytes, None)
    num_scales, num_high = fields
    is_wide, is_interleaved = version < 3 and not num_high, version < 2 and number != Q8_0
    if not (is_wide or is_interleaved):
        return StoredType(number, TYPES[number].block_bytes, None)
    block_bytes = TYPES[number].block_bytes + (2 * num_scales if is_wide else 0)
    recoding = Recoding(num_scales, num_high, is_wide, is_interleaved)
    return StoredType(number, block_bytes, recoding)


_FIELDS = {2: (1, 0), 3: (2, 0), 6: (1, 4), 7: (2, 4), Q8_0: (1, 0)}
"""By type: scales, and bytes of fifth bits."""
