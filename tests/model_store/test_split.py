from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.model_store.split import MAX_PARTS, set_of, stem_of


def test_all_files_of_a_set() -> None:
    names = ["m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf"]
    assert set_of(names[1]) == set_of(names[0]) == names
    assert stem_of(names[2]) == "m"


@pytest.mark.parametrize("name", ["m.gguf", "m-00001-of-00000.gguf", "m-1-of-3.gguf", "m.GGUF"])
def test_what_is_no_set(name: str) -> None:
    assert set_of(name) == [name]


def test_a_set_beyond_reason_is_none() -> None:
    name = f"m-00001-of-{MAX_PARTS + 1:05d}.gguf"
    assert set_of(name) == [name]


@given(st.text())
def test_any_name(name: str) -> None:
    assert 1 <= len(set_of(name)) <= MAX_PARTS and stem_of(name) == stem_of(stem_of(name) + ".gguf")
