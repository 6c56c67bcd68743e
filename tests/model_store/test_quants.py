from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.errors import ModelFileError
from cria.model_store.quants import MAX_LISTED, choose, label_of, listed, models_among

FILES = [
    "README.md",
    "x-Q8_0.gguf",
    "x-Q4_K_M.gguf",
    "x.Q5_0.gguf",
    "mmproj-x-f16.gguf",
    "big/x-F16-00001-of-00002.gguf",
    "big/x-F16-00002-of-00002.gguf",
]


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("x-Q4_K_M.gguf", "Q4_K_M"),
        ("x.q8_0.gguf", "Q8_0"),
        ("x-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("x-IQ2_XXS.gguf", "IQ2_XXS"),
        ("x-fp16.gguf", "F16"),
        ("BF16/x-00001-of-00002.gguf", "BF16"),
        ("q4.gguf", ""),
        ("plain.gguf", ""),
    ],
)
def test_what_a_name_tells(path: str, label: str) -> None:
    assert label_of(path) == label


@pytest.mark.parametrize(
    ("choice", "path"),
    [
        ("", "x-Q4_K_M.gguf"),
        ("q8_0", "x-Q8_0.gguf"),
        ("F16", "big/x-F16-00001-of-00002.gguf"),
        ("x.Q5_0.gguf", "x.Q5_0.gguf"),
        ("x-F16-00001-of-00002.gguf", "big/x-F16-00001-of-00002.gguf"),
        ("mmproj-x-f16.gguf", "mmproj-x-f16.gguf"),
    ],
)
def test_which_is_meant(choice: str, path: str) -> None:
    assert choose(FILES, choice, "org/repo") == path


@pytest.mark.parametrize(
    ("files", "choice", "words"),
    [
        ([], "", "no GGUF file"),
        (FILES, "Q2_K", "no Q2_K in org/repo; there are"),
        (FILES, "nothing.gguf", "there are"),
        (FILES, "big/x-F16-00002-of-00002.gguf", "give the first"),
        (["a-Q4_0.gguf", "b-Q4_0.gguf"], "", "more than one Q4_0"),
        (["a/x.gguf", "b/x.gguf"], "x.gguf", "more than one"),
        (["a.gguf", "b.gguf"], "", "no preferred file"),
        (["../x.gguf"], "", "no GGUF file"),
    ],
)
def test_what_is_not_clear_is_listed(files: list[str], choice: str, words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        choose(files, choice, "org/repo")


def test_one_file_needs_no_choice() -> None:
    assert choose(["a/b.gguf"], "", "org/repo") == "a/b.gguf"


def test_a_long_list_is_cut() -> None:
    assert listed([f"{n}.gguf" for n in range(MAX_LISTED + 5)]).endswith(" and 5 more")


@given(st.lists(st.text(max_size=20)), st.text(max_size=20))
def test_any_names(paths: list[str], choice: str) -> None:
    gguf = [f"{path}.gguf" for path in paths]
    try:
        assert choose(gguf, choice, "org/repo") in gguf
    except ModelFileError as error:
        assert str(error)
    assert set(models_among(gguf)) <= set(gguf)
