from __future__ import annotations

from typing import Any

from cria.model_file.header import Header
from cria.model_file.memory import memory_needed
from tests.model_file.building import Given, header_of

MODEL = {
    "general.architecture": "llama",
    "llama.context_length": 100,
    "llama.block_count": 3,
    "llama.embedding_length": 256,
    "llama.attention.head_count": 4,
}


def header(**changes: Any) -> Header:
    metadata = MODEL | {f"llama.{name}": value for name, value in changes.items()}
    renamed = {key.replace("attention_", "attention."): value for key, value in metadata.items()}
    return header_of(renamed, [Given("a")])


def test_weights_and_cache() -> None:
    need = memory_needed(header(), 100, 2)
    assert need.weights == 128
    assert need.cache == 2 * 100 * 3 * 256 * (2 + 2)
    assert need.total == need.weights + need.cache + need.compute


def test_groups_lengths_and_types() -> None:
    few = memory_needed(header(attention_head_count_kv=1), 100, 1)
    assert few.cache == 100 * 3 * 64 * 4
    own = header(attention_head_count_kv=1, attention_key_length=32, attention_value_length=32)
    assert memory_needed(own, 100, 1).cache == 100 * 3 * 32 * 4
    assert (
        memory_needed(header(), 100, 1, "q8_0", "f32").cache
        == 100 * 3 * 256 // 32 * 34 + 76_800 * 4
    )


def test_what_nobody_says() -> None:
    assert memory_needed(header()).cache == memory_needed(header(), 100, 1).cache
    assert memory_needed(header(context_length=10**6)) == memory_needed(header(), 4096, 1)
    each_its_own = header(attention_head_count_kv=[1, 2, 1])
    assert memory_needed(each_its_own, 100, 1) == memory_needed(header(), 100, 1)


def test_a_model_that_only_reads_keeps_nothing() -> None:
    assert memory_needed(header(attention_causal=False)).cache == 0
