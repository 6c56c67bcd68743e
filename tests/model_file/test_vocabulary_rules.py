from __future__ import annotations

from typing import Any

import pytest

from cria.model_file.model_rules import check_rules
from cria.model_file.reader import BadFile
from tests.model_file.building import gguf
from tests.model_file.test_header import read

VOCABULARY = {
    "general.architecture": "llama",
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.tokens": ["a", "b", ""],
    "tokenizer.ggml.bos_token_id": 1,
}


def check(changes: dict[str, Any]) -> None:
    check_rules(read(gguf({**VOCABULARY, **changes})))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tokenizer.ggml.padding_token_id": 2**32 - 1},
        {"tokenizer.ggml.eos_token_id": -1},
        {"tokenizer.ggml.tokens": [1, 2]},
        {"tokenizer.ggml.token_type": [1, 6, 3]},
        {"tokenizer.ggml.model": "bert", "tokenizer.ggml.token_type": [1, 1, 3]},
        {"tokenizer.ggml.model": "whitespace", "tokenizer.ggml.pre": "whitespace"},
        {"tokenizer.ggml.model": "bert", "tokenizer.ggml.pre": "whitespace"},
    ],
)
def test_what_can_be_tokenised_with(changes: dict[str, Any]) -> None:
    check(changes)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("tokenizer.ggml.tokens", ["a", "b", "c", "b"], "'b' twice, the second time as token 3"),
        ("tokenizer.ggml.tokens", [b"\xff", b"\xff"], "twice, the second time as token 1"),
        ("tokenizer.ggml.tokens", ["", "[EMPTY_0]"], "twice"),
        ("tokenizer.ggml.bos_token_id", 3, "is 3, but its vocabulary has 3 tokens"),
        ("tokenizer.ggml.tokens", [], "is empty"),
        ("tokenizer.ggml.model", "none", "is none, which turns no text into tokens"),
        ("tokenizer.ggml.model", "no_vocab", "is no_vocab"),
        ("tokenizer.ggml.pre", "whitespace", "pre is whitespace, but tokenizer.ggml.model gpt2"),
    ],
)
def test_what_llama_cpp_could_not_bear(key: str, value: Any, words: str) -> None:
    with pytest.raises(BadFile, match=words):
        check({key: value})


def test_word_pieces_are_no_bytes() -> None:
    with pytest.raises(BadFile, match="the token 1 stands for a byte"):
        check({"tokenizer.ggml.model": "bert", "tokenizer.ggml.token_type": [1, 6, 6]})
