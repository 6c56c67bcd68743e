"""Old adapters: the same bytes as by the library gguf, the same answers, and every refusal."""

from __future__ import annotations

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cria.errors import ModelFileError
from cria.legacy import convert_adapter
from cria.legacy.adapter import Array, consecutive
from cria.model_file import check_adapter_file, read_base
from tests.adapter_files import write_adapter
from tests.legacy.ggml_files import Model, adapter, write_reference

RANK, ALPHA = 4, 8
MODEL = Model(n_head_kv=2)
TARGETS = {"attention.wq": "attn_q", "attention.wv": "attn_v", "feed_forward.w2": "ffn_down"}
SHAPES = {"attn_q": (64, 64), "attn_v": (64, 32), "ffn_down": (192, 64)}
"""Columns and rows."""

Tensors = list[tuple[str, Array]]


def halves(seed: int = 0, dtype: str = "f4") -> dict[str, Array]:
    """A and B, [rank, n_in] and [n_out, rank], by today's names."""
    random = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for layer in range(MODEL.n_layer):
        for name, (n_in, n_out) in SHAPES.items():
            key = f"blk.{layer}.{name}.weight.lora_"
            found[key + "a"] = random.standard_normal((RANK, n_in)).astype(dtype)
            found[key + "b"] = random.standard_normal((n_out, RANK)).astype(dtype)
    return found


def as_old(found: dict[str, Array]) -> Tensors:
    """With the names and the order of then: A was transposed."""
    old = {f".{new}.": f".{name}." for name, new in TARGETS.items()}
    tensors = []
    for key, value in found.items():
        name = key.replace("blk.", "layers.")
        name = name.replace(".lora_a", ".loraA").replace(".lora_b", ".loraB")
        for new, before in old.items():
            name = name.replace(new, before)
        matrix = value.T if key.endswith("_a") else value
        tensors.append((name, np.ascontiguousarray(matrix)))
    return tensors


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base.gguf"
    write_reference(MODEL, path)
    return path


def converted(
    tmp_path: Path, data: bytes, base: Path | None = None, *, hf_rows: bool = False
) -> Path:
    source, target = tmp_path / "old.bin", tmp_path / "new.gguf"
    source.write_bytes(data)
    convert_adapter(source, target, base=base, hf_rows=hf_rows)
    return target


def contents(path: Path) -> dict[str, tuple[int, list[int], bytes]]:
    return {
        t.name: (int(t.tensor_type), [int(n) for n in t.shape], t.data.tobytes())
        for t in gguf.GGUFReader(path).tensors
    }


@pytest.mark.parametrize("dtype", ["f4", "f2"])
def test_the_same_as_the_library_writes(dtype: str, base: Path, tmp_path: Path) -> None:
    found = halves(dtype=dtype)
    new = converted(tmp_path, adapter(as_old(found), RANK, ALPHA), base)
    wanted = write_adapter(tmp_path / "wanted.gguf", found, ALPHA)
    assert contents(new) == contents(wanted)
    told, right = (check_adapter_file(path, read_base(base)).metadata for path in (new, wanted))
    assert told == right and told["adapter.lora.alpha"] == ALPHA


def test_names_of_both_times_are_known(tmp_path: Path, base: Path) -> None:
    one = np.ones((64, RANK), "f4")
    tensors = [("blk.0.attn_q.weight.loraA", one), ("layers.0.attention.wq.weight.loraB", one)]
    assert set(contents(converted(tmp_path, adapter(tensors), base))) == {
        "blk.0.attn_q.weight.lora_a",
        "blk.0.attn_q.weight.lora_b",
    }


def test_rows_in_the_order_of_hugging_face(tmp_path: Path, base: Path) -> None:
    name = "layers.0.attention.wk.weight.lora"
    rows = np.arange(32, dtype="f4")[:, None].repeat(RANK, axis=1)
    tensors = [(name + "A", np.ones((64, RANK), "f4")), (name + "B", rows)]
    path = converted(tmp_path, adapter(tensors), base, hf_rows=True)
    found = next(t for t in gguf.GGUFReader(path).tensors if t.name.endswith("lora_b"))
    halves_by_turns = [n for i in range(8) for n in (i, i + 8)]
    assert found.data[:, 0].tolist() == [*halves_by_turns, *(16 + n for n in halves_by_turns)]


def test_rows_of_two_heads() -> None:
    rows = np.arange(8)[:, None]
    assert consecutive(rows, 2)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_the_order_of_rows_needs_the_base(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="give --base"):
        converted(tmp_path, adapter(as_old(halves())), hf_rows=True)


NAME = "layers.0.attention.wq.weight.lora"
A, B = (NAME + "A", np.ones((64, 4), "f4")), (NAME + "B", np.ones((64, 4), "f4"))
NAN = (NAME + "B", np.full((64, 4), np.nan, "f4"))
LONG = (NAME + "A", np.ones((65, 4), "f4"))
GOOD = adapter([A, B])
WRONG = {
    "no tensors": (adapter([]), "it has no tensors"),
    "half a pair": (adapter([A]), "its loraA for blk.0.attn_q.weight has no counterpart"),
    "twice": (adapter([A, B, A]), "loraA twice"),
    "rank 0": (adapter([A, B], rank=0), "its rank is 0"),
    "alpha 0": (adapter([A, B], alpha=0), "its alpha 0"),
    "alpha below 0": (adapter([A, B], alpha=-8), "its alpha -8"),
    "another rank": (adapter([A, B], rank=8), "is 4 x 64, and the rank 8"),
    "version 2": (GOOD[:4] + struct.pack("<I", 2) + GOOD[8:], "of version 2"),
    "a norm": (adapter([("layers.0.ffn_norm.weight.loraA", A[1])]), "no matrix of a llama layer"),
    "not a number": (adapter([A, NAN]), "loraB has values that are no numbers"),
    "a byte less": (GOOD[:-1], "truncated at offset"),
    "the head alone": (GOOD[:10], "truncated at offset 10 in the header"),
    "another width": (adapter([LONG, B]), "for a tensor blk.0.attn_q.weight of (65, 64)"),
    "no such layer": (
        adapter([(name.replace("s.0.", "s.9."), data) for name, data in (A, B)]),
        "for a tensor blk.9.attn_q.weight, which the base does not have",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_refusals(name: str, base: Path, tmp_path: Path) -> None:
    data, words = WRONG[name]
    with pytest.raises(ModelFileError) as caught:
        converted(tmp_path, data, base)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "new.gguf").exists()


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(at=st.integers(0, 120), new=st.binary(min_size=1, max_size=4), cut=st.integers(0, 300))
def test_damage_is_refused_or_harmless(
    at: int, new: bytes, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = bytearray(GOOD[: len(GOOD) - max(cut - 200, 0)])
    data[at : at + len(new)] = new
    folder = tmp_path_factory.mktemp("adapter")
    try:
        path = converted(folder, bytes(data))
    except ModelFileError as error:
        assert "\n" not in str(error) and not (folder / "new.gguf").exists()
    else:
        assert len(contents(path)) == 2
