"""How many sequences of what context fit into the memory: plain arithmetic, no probing."""

from __future__ import annotations

from typing import NamedTuple

from cria.config import EngineConfig
from cria.engine.slots import Capacity
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


def choose_capacity(
    config: EngineConfig,
    machine: Machine,
    training_context: int,
    bytes_per_cell: float,
    *,
    pools_cells: bool,
) -> Capacity:
    """What was asked for; what was left open shrinks until the cache fits.

    With one pool for all sequences the number of cells shrinks first: hardly ever does every
    sequence fill its context. Where each has a part of its own, the number of sequences does.
    SetupError if the explicit wishes alone need more memory than is free.
    """
    slots = config.num_slots or (DEFAULT_SLOTS_GPU if machine.has_gpu else DEFAULT_SLOTS_CPU)
    context = config.context_size or min(training_context or DEFAULT_CONTEXT, DEFAULT_CONTEXT)
    affordable = int(machine.free_bytes * CACHE_SHARE / max(bytes_per_cell, 1))
    affordable = min(affordable, config.max_cells or affordable)
    per_slot = min(MIN_CONTEXT, context) if pools_cells else context
    if config.num_slots is None:
        slots = max(1, min(slots, affordable // per_slot))
    if config.context_size is None:
        own = affordable if pools_cells else affordable // slots
        context = max(min(context, MIN_CONTEXT), min(context, own))
    cells = slots * context
    if pools_cells:
        cells = min(cells, config.num_cells or max(affordable, context))
    capacity = Capacity(slots, min(context, cells), cells)
    if cells * bytes_per_cell > machine.free_bytes:
        raise SetupError(_too_large(capacity, bytes_per_cell, machine))
    return capacity


def _too_large(capacity: Capacity, bytes_per_cell: float, machine: Machine) -> str:
    return (
        f"A cache of {capacity.num_cells} tokens for {capacity.num_slots} sequences needs "
        f"{_gib(capacity.num_cells * bytes_per_cell)}, and {_gib(machine.free_bytes)} are free: "
        "choose a smaller --parallel or --context-size, or a smaller cache type "
        "(--cache-type-k q8_0 --cache-type-v q8_0)."
    )


def _gib(num_bytes: float) -> str:
    return f"{num_bytes / 2**30:.2f} GiB"
