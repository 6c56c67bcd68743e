from __future__ import annotations

from cria.model_file.fit import Plan, fit, need_of, usual_context
from cria.model_file.header import Header
from tests.model_file.building import Given, header_of

MODEL = {
    "general.architecture": "llama",
    "llama.context_length": 4096,
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 4,
}
PLAN = Plan(1024, 8)


def header(**changes: int) -> Header:
    metadata = MODEL | {f"llama.{name}": value for name, value in changes.items()}
    return header_of(metadata, [Given("a")])


def test_the_context_is_the_models_own_up_to_a_limit() -> None:
    assert usual_context(header(), None) == 4096
    assert usual_context(header(context_length=100_000), None) == 8192
    assert usual_context(header(context_length=0), None) == 8192
    assert usual_context(header(), 99) == 99


def test_all_parts_count() -> None:
    one, two = need_of([header()], PLAN), need_of([header(), header()], PLAN)
    assert (one.weights, two.weights) == (128, 256)
    assert one.cache == two.cache == 8 * 1024 * 2 * 64 * 2 * 2


def test_what_fits_and_what_would() -> None:
    need = need_of([header()], PLAN)
    assert fit([header()], PLAN, need.total, may_shrink=False).fits
    short = fit([header()], PLAN, need.total - 1, may_shrink=False)
    assert not short.fits and short.smaller == Plan(1024, 8, "q8_0", "q8_0")
    fewer = fit([header()], PLAN, need.total - need.cache * 7 // 8, may_shrink=False)
    assert fewer.smaller == Plan(1024, 1, "q8_0", "q8_0")
    shorter = fit([header()], PLAN, need.total - need.cache * 15 // 16, may_shrink=False)
    assert shorter.smaller == Plan(512, 1, "q8_0", "q8_0")
    assert fit([header()], PLAN, need.weights, may_shrink=False).smaller is None


def test_a_server_that_may_choose_takes_a_smaller_cache() -> None:
    need = need_of([header()], PLAN)
    free = need.weights + need.compute + need.cache // 4
    found = fit([header()], PLAN, free, may_shrink=True)
    assert found.fits and found.need.cache < need.cache
    assert not fit([header()], PLAN, need.weights, may_shrink=True).fits
