"""How much memory a model will take, by what its file says: an estimate, for choosing what fits."""

from __future__ import annotations

from typing import NamedTuple

from cria.model_file.header import Header
from cria.model_file.values import Value

COMMON_CONTEXT = 4096
"""Where nobody says how long sequences may be; the engine plans by what is free then."""
BLOCKS = {
    "f32": (1, 4),
    "f16": (1, 2),
    "bf16": (1, 2),
    "q8_0": (32, 34),
    "q4_0": (32, 18),
    "q4_1": (32, 20),
    "iq4_nl": (32, 18),
    "q5_0": (32, 22),
    "q5_1": (32, 24),
}
"""Values in a block of each format, and its bytes."""
COMPUTE_BYTES = 64 * 1024 * 1024
"""What a process and the buffers of a small model take, whatever the model."""


class MemoryNeed(NamedTuple):
    """Bytes."""

    weights: int
    cache: int
    compute: int

    @property
    def total(self) -> int:
        """All together."""
        return self.weights + self.cache + self.compute


def memory_needed(
    header: Header,
    context_size: int | None = None,
    num_slots: int | None = None,
    cache_type_k: str = "f16",
    cache_type_v: str = "f16",
) -> MemoryNeed:
    """For so many sequences of so many tokens; None is one sequence, and a common length."""
    trained = _number(header.of_model("context_length"), COMMON_CONTEXT)
    tokens = (context_size or min(trained, COMMON_CONTEXT)) * (num_slots or 1)
    if header.of_model("attention.causal") is False:
        tokens = 0  # a model that only reads keeps nothing
    heads = _number(header.of_model("attention.head_count"), 1)
    groups = _number(header.of_model("attention.head_count_kv"), heads)
    width = _number(header.of_model("embedding_length"), 0)
    head = width // max(heads, 1)
    values = tokens * _number(header.of_model("block_count"), 0) * groups
    cache = _bytes(values * _number(header.of_model("attention.key_length"), head), cache_type_k)
    cache += _bytes(values * _number(header.of_model("attention.value_length"), head), cache_type_v)
    return MemoryNeed(header.num_bytes - header.data_start, cache, COMPUTE_BYTES)


def _bytes(num_values: int, cache_type: str) -> int:
    length, num_bytes = BLOCKS[cache_type]
    return num_values // length * num_bytes


def _number(value: Value | None, otherwise: int) -> int:
    """A number for all layers; where each has its own, the usual guess."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return int(value) if is_number and value > 0 else otherwise  # type: ignore[arg-type,operator]
