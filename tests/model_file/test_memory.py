"""The estimate of what a model takes."""

from __future__ import annotations

from pathlib import Path

from cria.model_file import check_model_file
from cria.model_file.memory import memory_needed


def test_it_grows_with_contexts_and_shrinks_with_formats(tiny_gguf: Path) -> None:
    header = check_model_file(tiny_gguf)
    one = memory_needed(header, 512, 1)
    assert 0 < one.weights <= header.num_bytes
    assert memory_needed(header, 512, 4).cache == 4 * one.cache
    assert memory_needed(header, 512, 1, "f32", "f32").cache == 2 * one.cache
    assert memory_needed(header, 512, 1, "q8_0", "q8_0").cache < one.cache
    assert one.total == one.weights + one.cache + one.compute
