"""How many sequences of what context fit into the memory: plain arithmetic, no probing."""

from __future__ import annotations

from typing import NamedTuple

from cria.config import EngineConfig
from cria.errors import SetupError

DEFAULT_CONTEXT = 8192
MIN_CONTEXT = 256
DEFAULT_SLOTS_CPU = 8
DEFAULT_SLOTS_GPU = 64
CACHE_SHARE = 0.5
"""Of the free memory; the rest is for computing, and for everybody else."""


class Machine(NamedTuple):
    """What there is to run on, once the weights are loaded."""

    has_gpu: bool
    free_bytes: int
    """Free memory where the cache will be."""


class Capacity(NamedTuple):
    """Sequences, and tokens that each of them may hold."""

    num_slots: int
    context_size: int

    @property
    def num_cells(self) -> int:
        return self.num_slots * self.context_size


def choose_capacity(
    config: EngineConfig, machine: Machine, training_context: int, bytes_per_cell: float
) -> Capacity:
    """What was asked for; what was left open shrinks, sequences first, until the cache fits.

    SetupError if the explicit wishes alone need more memory than is free.
    """
    slots = config.num_slots or (DEFAULT_SLOTS_GPU if machine.has_gpu else DEFAULT_SLOTS_CPU)
    context = config.context_size or min(training_context or DEFAULT_CONTEXT, DEFAULT_CONTEXT)
    affordable = int(machine.free_bytes * CACHE_SHARE / max(bytes_per_cell, 1))
    if config.num_slots is None:
        slots = max(1, min(slots, affordable // context))
    if config.context_size is None:
        context = max(min(context, MIN_CONTEXT), min(context, affordable // slots))
    capacity = Capacity(slots, context)
    needed = capacity.num_cells * bytes_per_cell
    if needed > machine.free_bytes:
        raise SetupError(
            f"A cache for {slots} sequences of {context} tokens needs {_gib(needed)}, and "
            f"{_gib(machine.free_bytes)} are free: choose a smaller --parallel or --context-size, "
            "or a smaller cache type (--cache-type-k q8_0 --cache-type-v q8_0)."
        )
    return capacity


def _gib(num_bytes: float) -> str:
    return f"{num_bytes / 2**30:.2f} GiB"
