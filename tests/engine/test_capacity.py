from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.config import EngineConfig
from cria.engine.capacity import Capacity, Machine, choose_capacity
from cria.errors import SetupError

GIB = 2**30
ROOMY = Machine(has_gpu=False, free_bytes=64 * GIB)
CELL = 32 * 1024


def config(num_slots: int | None = None, context_size: int | None = None) -> EngineConfig:
    return EngineConfig("model.gguf", num_slots=num_slots, context_size=context_size)


def test_defaults_on_cpu_and_gpu() -> None:
    assert choose_capacity(config(), ROOMY, 32_768, CELL) == Capacity(8, 8192)
    gpu = Machine(has_gpu=True, free_bytes=640 * GIB)
    assert choose_capacity(config(), gpu, 32_768, CELL) == Capacity(64, 8192)


def test_the_training_context_is_a_limit_and_its_absence_is_none() -> None:
    assert choose_capacity(config(), ROOMY, 2048, CELL).context_size == 2048
    assert choose_capacity(config(), ROOMY, 0, CELL).context_size == 8192


def test_sequences_shrink_first_then_the_context() -> None:
    one_gib = Machine(False, GIB)  # half of it holds 16,384 cells
    assert choose_capacity(config(), one_gib, 8192, CELL) == Capacity(2, 8192)
    little = Machine(False, GIB // 8)
    assert choose_capacity(config(), little, 8192, CELL) == Capacity(1, 2048)


def test_explicit_wishes_are_kept_or_refused_never_changed() -> None:
    machine = Machine(False, GIB)
    assert choose_capacity(config(3, 8192), machine, 8192, CELL) == Capacity(3, 8192)
    with pytest.raises(SetupError, match="5 sequences of 8192 tokens needs 1.25 GiB, and 1.00 GiB"):
        choose_capacity(config(5, 8192), machine, 8192, CELL)


def test_one_explicit_wish_leaves_the_other_to_shrink() -> None:
    machine = Machine(False, GIB)
    assert choose_capacity(config(num_slots=4), machine, 8192, CELL) == Capacity(4, 4096)
    assert choose_capacity(config(context_size=4096), machine, 8192, CELL) == Capacity(4, 4096)


@given(
    st.integers(1, 10**12),
    st.floats(1, 10**7),
    st.integers(0, 10**6),
    st.booleans(),
    st.none() | st.integers(1, 256),
    st.none() | st.integers(1, 10**6),
)
def test_what_is_chosen_fits_or_is_refused(
    free: int, cell: float, trained: int, gpu: bool, slots: int | None, context: int | None
) -> None:
    machine = Machine(gpu, free)
    try:
        capacity = choose_capacity(config(slots, context), machine, trained, cell)
    except SetupError:
        return
    assert capacity.num_slots >= 1 and capacity.context_size >= 1
    assert capacity.num_cells * cell <= free
    assert capacity.num_slots == (slots or capacity.num_slots)
    assert capacity.context_size == (context or capacity.context_size)
