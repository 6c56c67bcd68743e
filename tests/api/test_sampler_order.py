from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.api.sampler_order import LETTERS, SPELLINGS, sampler_order
from cria.errors import RequestError
from cria.sampling_params import SAMPLER_ORDER


def test_the_usual_order_in_letters_and_in_words() -> None:
    assert sampler_order("edskypmxt") == sampler_order(list(SAMPLER_ORDER)) == SAMPLER_ORDER


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("top-k", "top_k"),
        ("topp", "top_p"),
        ("nucleus", "top_p"),
        ("typ", "typ_p"),
        ("typical_p", "typ_p"),
        ("temp", "temperature"),
        ("TOP_N_SIGMA", "top_n_sigma"),
        ("adaptive-p", "adaptive_p"),
    ],
)
def test_names_may_be_written_as_llama_cpp_reads_them(written: str, name: str) -> None:
    assert sampler_order([written, written]) == (name, name)


@pytest.mark.parametrize(
    ("samplers", "param"),
    [
        (["top_k", "infill"], "samplers[1]"),
        ([""], "samplers[0]"),
        ("ki", "samplers"),
        ("K", "samplers"),
    ],
)
def test_unknown_ones_are_refused_by_name(samplers: str | list[str], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        sampler_order(samplers)
    assert (caught.value.param, caught.value.code) == (param, "invalid_value")


@given(st.text(max_size=9) | st.lists(st.text(max_size=9) | st.sampled_from([*SPELLINGS])))
def test_any_text_is_an_order_or_refused(samplers: str | list[str]) -> None:
    try:
        names = sampler_order(samplers)
    except RequestError as error:
        assert len(str(error)) < 500
    else:
        assert len(names) == len(samplers) and set(names) <= set(LETTERS.values())
