from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cria.model_file import check_model_files
from cria.model_file.description import FileDescription, describe_file
from tests.model_file.building import Given, header_of

MATRIX = Given("a", (32, 2), 8, 68)


def described(metadata: dict[str, Any], *tensors: Given) -> FileDescription:
    return describe_file([header_of(metadata, tensors)])


def test_what_it_is() -> None:
    found = described(
        {
            "general.architecture": "llama",
            "general.name": "A name",
            "general.license": "mit",
            "general.file_type": 7,
            "llama.context_length": 512,
            "llama.block_count": 3,
            "llama.attention.head_count": 4,
            "llama.attention.head_count_kv": [2, 1, 2],
            "tokenizer.ggml.tokens": ["a", "b"],
            "tokenizer.ggml.model": "llama",
            "tokenizer.chat_template": "{{ 1 }}",
        },
        MATRIX,
        Given("b"),
    )
    assert (found.kind, found.architecture, found.quantisation) == ("model", "llama", "Q8_0")
    assert found.about == {"name": "A name", "license": "mit"}
    assert (found.context_length, found.num_layers, found.num_heads) == (512, 3, 4)
    assert found.num_kv_heads is None, "each layer has its own"
    assert (found.num_parameters, found.vocabulary_size) == (96, 2)
    assert found.has_chat_template and found.num_files == 1
    assert [(each.type, each.num_tensors, each.num_bytes) for each in found.types] == [
        ("F32", 1, 128),
        ("Q8_0", 1, 68),
    ]


def test_what_it_does_not_say() -> None:
    bare = described({"general.architecture": "llama"}, MATRIX)
    assert bare.quantisation == "Q8_0", "what most of its bytes are"
    assert (bare.about, bare.context_length, bare.tokenizer) == ({}, None, None)
    assert described({}).quantisation == "none"
    assert described({"general.file_type": 12345}, MATRIX).quantisation == "Q8_0"


def test_other_kinds_and_poolings() -> None:
    assert described({"general.type": "adapter"}).kind == "adapter"
    metadata = {"general.architecture": "bert", "bert.pooling_type": 2}
    assert described(metadata).pooling == "cls"
    assert described({**metadata, "bert.pooling_type": 77}).pooling == "77"


def test_a_real_one(tiny_gguf: Path) -> None:
    found = describe_file(check_model_files(tiny_gguf))
    assert found.architecture == "llama" and found.num_bytes == tiny_gguf.stat().st_size


KEYS = st.sampled_from(
    [
        "general.architecture",
        "general.type",
        "general.name",
        "general.file_type",
        "llama.context_length",
        "llama.attention.head_count",
        "llama.pooling_type",
        "tokenizer.ggml.tokens",
        "tokenizer.ggml.model",
        "tokenizer.chat_template",
    ]
)
VALUES = st.one_of(
    st.text(max_size=5),
    st.integers(-(2**31), 2**64 - 1),
    st.floats(width=32),
    st.booleans(),
    st.lists(st.text(max_size=3), max_size=3),
)


@given(st.dictionaries(KEYS, VALUES))
def test_values_of_any_type_are_described(metadata: dict[str, Any]) -> None:
    assert described({"general.architecture": "llama", **metadata}).types == []
