from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.config import EngineConfig
from cria.engine.capacity import Machine, choose_capacity
from cria.engine.slots import Capacity
from cria.errors import SetupError

GIB = 2**30
ROOMY = Machine(has_gpu=False, free_bytes=64 * GIB)
CELL = 32 * 1024


def config(
    num_slots: int | None = None, context_size: int | None = None, num_cells: int | None = None
) -> EngineConfig:
    return EngineConfig(
        "model.gguf", num_slots=num_slots, context_size=context_size, num_cells=num_cells
    )


def parts(wishes: EngineConfig, machine: Machine, trained: int = 8192) -> Capacity:
    """A part of the cache for each sequence."""
    return choose_capacity(wishes, machine, trained, CELL, pools_cells=False)


def pooled(wishes: EngineConfig, machine: Machine, trained: int = 8192) -> Capacity:
    """One pool for all."""
    return choose_capacity(wishes, machine, trained, CELL, pools_cells=True)


def test_defaults_on_cpu_and_gpu() -> None:
    assert pooled(config(), ROOMY, 32_768) == Capacity(8, 8192, 8 * 8192)
    gpu = Machine(has_gpu=True, free_bytes=640 * GIB)
    assert parts(config(), gpu, 32_768) == Capacity(64, 8192, 64 * 8192)


def test_the_training_context_is_a_limit_and_its_absence_is_none() -> None:
    assert parts(config(), ROOMY, 2048).context_size == 2048
    assert parts(config(), ROOMY, 0).context_size == 8192


def test_of_parts_the_number_shrinks_first_then_their_size() -> None:
    one_gib = Machine(False, GIB)  # half of it holds 16,384 cells
    assert parts(config(), one_gib) == Capacity(2, 8192, 16_384)
    little = Machine(False, GIB // 8)
    assert parts(config(), little) == Capacity(1, 2048, 2048)


def test_a_pool_shrinks_first_then_the_context() -> None:
    assert pooled(config(), Machine(False, GIB)) == Capacity(8, 8192, 16_384)
    assert pooled(config(), Machine(False, GIB // 8)) == Capacity(8, 2048, 2048)
    assert pooled(config(), Machine(False, GIB // 64)) == Capacity(1, 256, 256)


def test_a_pool_may_be_chosen_and_holds_a_sequence_at_most() -> None:
    assert pooled(config(num_cells=3000), ROOMY) == Capacity(8, 3000, 3000)
    assert pooled(config(2, 1000, 3000), ROOMY) == Capacity(2, 1000, 2000), "more is no use"


def test_explicit_wishes_are_kept_or_refused_never_changed() -> None:
    machine = Machine(False, GIB)
    assert parts(config(3, 8192), machine) == Capacity(3, 8192, 3 * 8192)
    with pytest.raises(SetupError, match="40960 tokens for 5 sequences needs 1.25 GiB, and 1.00"):
        parts(config(5, 8192), machine)
    with pytest.raises(SetupError, match="40000 tokens for 1 sequences needs 1.22 GiB, and 1.00"):
        pooled(config(1, 40_000), machine)


def test_one_explicit_wish_leaves_the_other_to_shrink() -> None:
    machine = Machine(False, GIB)
    assert parts(config(num_slots=4), machine) == Capacity(4, 4096, 16_384)
    assert parts(config(context_size=4096), machine) == Capacity(4, 4096, 16_384)


@given(
    st.integers(1, 10**12),
    st.floats(1, 10**7),
    st.integers(0, 10**6),
    st.tuples(st.none() | st.integers(1, 256), st.none() | st.integers(1, 10**6)),
    st.tuples(st.booleans(), st.booleans()),
)
def test_what_is_chosen_fits_or_is_refused(
    free: int,
    cell: float,
    trained: int,
    wishes: tuple[int | None, int | None],
    gpu_and_pool: tuple[bool, bool],
) -> None:
    (slots, context), (gpu, pools_cells) = wishes, gpu_and_pool
    machine = Machine(gpu, free)
    try:
        capacity = choose_capacity(
            config(slots, context), machine, trained, cell, pools_cells=pools_cells
        )
    except SetupError:
        return
    assert capacity.num_slots >= 1 and capacity.context_size >= 1
    assert capacity.num_cells * cell <= free
    assert capacity.context_size <= capacity.num_cells
    assert capacity.num_slots == (slots or capacity.num_slots)
    assert capacity.context_size == (context or capacity.context_size)


def test_less_than_what_was_too_much() -> None:
    """Where the choice is ours; a pool shrinks as it does for want of memory."""
    assert pooled(config().with_less_than(8 * 8192), ROOMY) == Capacity(8, 8192, 4 * 8192)
    assert parts(config().with_less_than(8 * 8192), ROOMY) == Capacity(4, 8192, 4 * 8192)
    fixed = config(num_slots=8, context_size=8192)
    assert config().may_shrink and not fixed.may_shrink
    assert pooled(fixed.with_less_than(8 * 8192), ROOMY).context_size == 8192
