from __future__ import annotations

import math
from typing import Any

import pytest

from cria.model_file.model_rules import check_rules
from cria.model_file.reader import BadFile
from tests.model_file.building import Given, gguf
from tests.model_file.test_header import read

MODEL = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.context_length": 512,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 4,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
    "llama.rope.freq_base": 10000.0,
    "tokenizer.ggml.tokens": ["a", "b", ""],
    "tokenizer.ggml.bos_token_id": 1,
}
WEIGHTS = [Given("output_norm.weight"), Given("blk.0.ffn_up.weight", (32, 2), 8, 68)]


def check(changes: dict[str, Any], tensors: list[Given] = WEIGHTS) -> None:
    check_rules(read(gguf({**MODEL, **changes}, tensors)))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"llama.attention.head_count": [4, 0]},
        {"llama.attention.layer_norm_rms_epsilon": 0.0},
        {"llama.expert_count": 4, "llama.expert_used_count": 2},
        {"llama.expert_count": 0, "llama.expert_used_count": 0},
        {"llama.expert_count": 4, "llama.expert_used_count": [0, 2]},
        {"llama.nextn_predict_layers": 1},
        {"general.architecture": "hunyuan-dense", "hunyuan-dense.expert_used_count": 1},
    ],
)
def test_what_can_be_computed(changes: dict[str, Any]) -> None:
    check(changes)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("general.architecture", "", "which architecture"),
        ("general.type", "adapter", "an adapter; give the model"),
        ("general.type", "mmproj", "a projector"),
        ("llama.block_count", 0, "between 1 and 512"),
        ("llama.block_count", 100_000, "is 100000"),
        ("llama.block_count", "2", "is 2;"),
        ("llama.context_length", 0, "is 0"),
        ("llama.context_length", 2**31, "is 2147483648"),
        ("llama.embedding_length", 0, "is 0"),
        ("llama.attention.head_count", 0, "is 0"),
        ("llama.attention.layer_norm_rms_epsilon", -1.0, "is -1.0"),
        ("llama.attention.layer_norm_rms_epsilon", math.nan, "is nan"),
        ("llama.attention.layer_norm_epsilon", math.inf, "is inf"),
        ("llama.expert_count", 5000, "between 0 and 1024"),
        ("llama.expert_used_count", 1, "between 0 and 0"),
        ("llama.rope.scaling.type", "", "is empty; it has to be one of none, linear, yarn"),
        ("llama.expert_count", 4, "expert_used_count is None; it has to be between 1 and 4"),
        ("llama.expert_used_count", [0, 3], "is 3; it has to be between 0 and 0"),
        ("llama.expert_group_count", 2, "between 0 and 0"),
        ("llama.nextn_predict_layers", 3, "between 0 and 2"),
        ("llama.rope.freq_base", 0.0, "greater than 0"),
        ("llama.rope.scaling.factor", math.nan, "is nan"),
    ],
)
def test_what_llama_cpp_could_not_bear(key: str, value: Any, words: str) -> None:
    with pytest.raises(BadFile, match=words):
        check({key: value})


EXPERTS = {"llama.expert_count": 4, "llama.expert_used_count": 2}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"llama.expert_used_count": 100}, "is 100; it has to be between 0 and 4"),
        ({"llama.expert_used_count": 0}, "is 0; it has to be between 1 and 4"),
        ({"llama.expert_group_count": 4}, "is 4; it has to be between 0 and 3"),
        ({"llama.expert_group_count": 3}, "has to divide 4"),
        ({"llama.expert_group_count": 2}, "used_count is None; it has to be between 1 and 1"),
    ],
)
def test_experts(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadFile, match=words):
        check({**EXPERTS, **changes})


def test_groups_of_experts() -> None:
    check({**EXPERTS, "llama.expert_group_count": 2, "llama.expert_group_used_count": 1})


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (Given("output_norm.weight", type=1, num_bytes=64), "norms have to be F32"),
        (Given("blk.0.ffn_up.weight", (32, 2), 26, 256), "type I32, which no weights"),
        (Given("blk.0.ffn_up.weight", (32, 2), 28, 512), "type F64"),
    ],
)
def test_types_of_tensors(tensor: Given, words: str) -> None:
    with pytest.raises(BadFile, match=words):
        check({}, [tensor])


def test_indices_are_no_weights() -> None:
    check({}, [Given("blk.0.ffn_gate_tid2eid.weight", (32, 2), 26, 256)])


def test_a_vocabulary_alone_has_no_layers() -> None:
    check({"llama.block_count": 0}, [])
    with pytest.raises(BadFile, match="twice"):
        check({"tokenizer.ggml.tokens": ["a", "a"]}, [])
