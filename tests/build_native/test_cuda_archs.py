"""Every spelling of an architecture is understood or refused in one sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria_build.cuda_archs import CUDA_ARCHS, check_cuda_archs, parse_cuda_archs
from cria_build.errors import BuildError
from tests.build_native.asking import refused


@pytest.mark.parametrize(
    ("text", "archs"),
    [
        ("75", ("75",)), ("sm_75", ("75",)), ("compute_75", ("75",)), ("7.5", ("75",)),
        ("75;86", ("75", "86")), ("75,86", ("75", "86")), ("75 86", ("75", "86")),
        ("SM_90", ("90",)), ("90a", ("90a",)), ("9.0a", ("90a",)), ("12.0", ("120",)),
        ("native", ("native",)), ("75;sm_75;7.5", ("75",)), ("100f", ("100f",)),
    ],
)  # fmt: skip
def test_every_spelling_of_an_architecture(text: str, archs: tuple[str, ...]) -> None:
    assert parse_cuda_archs([text]) == archs


@pytest.mark.parametrize(
    "text", ["", " ; ", "74", "7", "sm75x", "75a", "90f", "all", "7.5.1", "-75", "\u0667\u0665"]
)
def test_a_bad_architecture_is_one_sentence(text: str) -> None:
    refused(parse_cuda_archs, [text])


@given(st.text(max_size=20))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        archs = parse_cuda_archs([text])
    except BuildError:
        return
    assert archs
    assert all(a == "native" or int(a.rstrip("af")) in CUDA_ARCHS for a in archs)
    assert parse_cuda_archs([";".join(archs)]) == archs


@given(st.lists(st.sampled_from(sorted(CUDA_ARCHS)), min_size=1), st.sampled_from(";, "))
def test_lists_keep_order_and_drop_repeats(numbers: list[int], separator: str) -> None:
    expected = tuple(dict.fromkeys(map(str, numbers)))
    assert parse_cuda_archs([separator.join(map(str, numbers))]) == expected
    assert parse_cuda_archs([f"sm_{number}" for number in numbers]) == expected


@pytest.mark.parametrize(
    ("arch", "toolkit", "word"),
    [("75", (13, 0), ""), ("61", (13, 0), "too new"), ("120", (12, 6), "too old"),
     ("90a", (11, 8), ""), ("35", (11, 8), ""), ("35", (12, 0), "too new"),
     ("89", (11, 7), "too old")],
)  # fmt: skip
def test_architecture_and_toolkit_must_fit(arch: str, toolkit: tuple[int, int], word: str) -> None:
    if word:
        assert word in refused(check_cuda_archs, [arch], toolkit)
    else:
        check_cuda_archs([arch], toolkit)
