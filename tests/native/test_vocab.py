from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cria.native.library import LIBRARY_DIR, Library
from cria.native.model import Model, ModelOptions


def joined(model: Model, tokens: list[int]) -> bytes:
    return b"".join(model.vocab.pieces[token] for token in tokens)


def test_special_ids(tiny_model: Model) -> None:
    vocab = tiny_model.vocab
    assert (vocab.bos_id, vocab.eos_id, vocab.pad_id) == (1, 2, None)
    assert vocab.eos_id in vocab.end_of_generation_ids
    assert 10 not in vocab.end_of_generation_ids


def test_tokenising_and_back(tiny_model: Model) -> None:
    tokens = tiny_model.vocab.tokenize(b"hello world", add_special=False, parse_special=False)
    assert joined(tiny_model, tokens).strip() == b"hello world"


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(exclude_characters="\u2581", codec="utf-8"), max_size=40))
def test_any_text_survives(tiny_model: Model, text: str) -> None:
    data = text.encode()
    tokens = tiny_model.vocab.tokenize(data, add_special=False, parse_special=False)
    assert joined(tiny_model, tokens).lstrip(b" ") == data.lstrip(b" ")


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=60))
def test_any_bytes_become_tokens_of_the_vocabulary(tiny_model: Model, data: bytes) -> None:
    for parse_special in (False, True):
        tokens = tiny_model.vocab.tokenize(data, add_special=True, parse_special=parse_special)
        assert all(0 <= token < tiny_model.vocab.num_tokens for token in tokens)


def test_special_text_is_parsed_only_when_asked(tiny_model: Model) -> None:
    vocab = tiny_model.vocab
    parsed = vocab.tokenize(b"</s>", add_special=False, parse_special=True)
    assert 2 in parsed
    assert 2 not in vocab.tokenize(b"</s>", add_special=False, parse_special=False)


def test_control_tokens_have_no_text_but_a_name(tiny_model: Model) -> None:
    assert tiny_model.vocab.pieces[1] == b""
    assert tiny_model.vocab.control_pieces[1] == b"<s>"


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_long_and_empty_texts(tiny_model: Model, size: int) -> None:
    tokens = tiny_model.vocab.tokenize(b"the " * size, add_special=False, parse_special=False)
    assert joined(tiny_model, tokens).strip() == (b"the " * size).strip()


def vocabulary_file(name: str) -> Path:
    """One of those that come with llama.cpp's source, if that is still there."""
    info = json.loads((LIBRARY_DIR / "BUILD_INFO.json").read_text())
    tree = Path(info.get("flags", {}).get("LLAMA_CPP_DIR", "/nonexistent"))
    for folder in (tree / "models", tree / "vendor" / "llama.cpp" / "models"):
        if (folder / f"ggml-vocab-{name}.gguf").is_file():
            return folder / f"ggml-vocab-{name}.gguf"
    pytest.skip("llama.cpp's source is not at hand")


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("starcoder", (1, 3, 2)),
        ("refact", (1, 3, 2)),
        ("deepseek-coder", (32016, 32015, 32017)),
        ("qwen2", None),
    ],
)
def test_tokens_for_filling_in_the_middle(
    native: Library, name: str, ids: tuple[int, int, int] | None
) -> None:
    model = Model(native, str(vocabulary_file(name)), ModelOptions(vocab_only=True))
    assert model.vocab.fim_ids == ids
    model.close()
