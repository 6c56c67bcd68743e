"""Adapter files: right ones, and lies of every kind."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.errors import ModelFileError
from cria.model_file import BaseModel, check_adapter_file, is_old_adapter, read_base
from tests.model_file.building import Given, Raw, gguf

BASE = BaseModel(
    "llama",
    {"blk.0.attn_q.weight": (64, 32), "token_embd.weight": (64, 100), "moe": (64, 32, 4)},
    num_layers=2,
    width=64,
)
GOOD: dict[str, Any] = {
    "general.architecture": "llama",
    "general.type": "adapter",
    "adapter.type": "lora",
    "adapter.lora.alpha": 8.0,
}


def half(name: str, *shape: int, kind: int = 0) -> Given:
    size = {0: 4, 1: 2, 30: 2}.get(kind, 4)
    count = 1
    for each in shape:
        count *= each
    return Given(name, shape, kind, size * count)


PAIR = (half("blk.0.attn_q.weight.lora_a", 64, 8), half("blk.0.attn_q.weight.lora_b", 8, 32))


def check(path: Path, metadata: dict[str, Any], tensors: Any = PAIR) -> None:
    path.write_bytes(gguf({k: v for k, v in metadata.items() if v is not None}, tensors))
    check_adapter_file(path, BASE)


@pytest.mark.parametrize(
    "tensors",
    [
        PAIR,
        (half("token_embd.weight.lora_a", 8, 100), half("token_embd.weight.lora_b", 8, 64)),
        (half("moe.lora_a", 64, 8, 4), half("moe.lora_b", 8, 32, 4)),
        (
            half("blk.0.attn_q.weight.lora_a", 64, 8, kind=1),
            half("blk.0.attn_q.weight.lora_b", 8, 32, kind=30),
        ),
    ],
)
def test_what_fits(tmp_path: Path, tensors: Any) -> None:
    check(tmp_path / "a.gguf", GOOD, tensors)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"general.type": "model"}, "general.type is model, not adapter"),
        ({"general.type": 3}, "general.type is 3"),
        ({"general.type": None}, "general.type is None"),
        ({"adapter.type": "ia3"}, "adapter.type is ia3"),
        ({"general.architecture": "qwen2"}, "it is for qwen2 models, and this one is llama"),
        ({"adapter.lora.alpha": 8}, "no number of 32 bits"),
        ({"adapter.lora.alpha": Raw(struct.pack("<Id", 12, 8.0))}, "no number of 32 bits"),
        ({"adapter.lora.alpha": float("nan")}, "alpha is nan"),
        ({"adapter.lora.alpha": -1.0}, "alpha is -1.0"),
        ({"adapter.alora.invocation_tokens": [1, 2]}, "aLoRA"),
    ],
)
def test_what_it_says_of_itself_is_checked(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ModelFileError, match=words):
        check(tmp_path / "a.gguf", GOOD | changes)


A, B = "blk.0.attn_q.weight.lora_a", "blk.0.attn_q.weight.lora_b"


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ((), "no tensors"),
        ((half(A, 64, 8),), "only one of the two halves"),
        ((half(A, 64, 8), half(B, 4, 32)), "does not fit"),
        ((half(A, 32, 8), half(B, 8, 32)), "does not fit"),
        ((half(A, 8, 64), half(B, 8, 32)), "does not fit"),
        ((half(A, 64, 8, 2), half(B, 8, 32)), "does not fit"),
        ((half(A, 64), half(B, 8, 32)), "does not fit"),
        ((half("moe.lora_a", 64, 8), half("moe.lora_b", 8, 32)), "does not fit"),
        ((half("none.lora_a", 64, 8), half("none.lora_b", 8, 32)), "has no tensor none"),
        ((half("blk.0.attn_norm.weight", 64),), "leave that out"),
        ((half("blk.0.attn_q.weight", 64, 8),), "no half of a pair"),
        ((half("x.lora_a.lora_b", 64, 8),), "no half of a pair"),
        ((half(A, 64, 8, kind=26), half(B, 8, 32)), "has the type I32"),
    ],
)
def test_tensors_are_checked(tmp_path: Path, tensors: Any, words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        check(tmp_path / "a.gguf", GOOD, tensors)


def test_files_that_are_none(tmp_path: Path) -> None:
    old = tmp_path / "old.bin"
    old.write_bytes(b"algg" + bytes(100))
    assert is_old_adapter(old)
    assert not is_old_adapter(tmp_path / "none")
    for path, words in ((old, "before GGUF"), (tmp_path, "folder"), (tmp_path / "none", "none")):
        with pytest.raises(ModelFileError, match=words):
            check_adapter_file(path, BASE)


def test_the_base_is_read_from_its_file(tiny_gguf: Path) -> None:
    base = read_base(tiny_gguf)
    assert (base.architecture, base.num_layers, base.width) == ("llama", 2, 128)
    assert base.shapes["blk.1.ffn_down.weight"] == (256, 128)


@given(position=st.integers(0, 400), value=st.integers(0, 255), cut=st.integers(0, 3000))
def test_no_bytes_do_more_than_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int, cut: int
) -> None:
    data = bytearray(gguf(GOOD, PAIR))
    data[position % len(data)] = value
    path = tmp_path_factory.mktemp("any") / "a.gguf"
    path.write_bytes(data[: max(0, len(data) - cut)] if cut > 1500 else data)
    try:
        check_adapter_file(path, BASE)
    except ModelFileError as error:
        assert str(path) in str(error)
