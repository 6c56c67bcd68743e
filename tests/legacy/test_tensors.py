"""Where tensors are, what they are called, and what is said of those that cannot be."""

from __future__ import annotations

import struct

import pytest

from cria.legacy.formats import FORMATS, Format
from cria.legacy.tensors import Stored, names_of, read_tensor, read_tensors
from cria.model_file.reader import BadFile
from tests.legacy.ggml_files import Model, stored, tensor, weights
from tests.legacy.old_source import source_of

GGML, V1, V3 = FORMATS[b"lmgg", None], FORMATS[b"tjgg", 1], FORMATS[b"tjgg", 3]
MODEL = Model(n_layer=1)


def one(form: Format, kind: int, shape: tuple[int, ...], num_bytes: int) -> Stored:
    data = tensor(0, "norm.weight", shape, kind, bytes(num_bytes), form.is_aligned)
    return read_tensor(source_of(data), form, 0)


def all_of(model: Model, num_left_out: int = 0) -> bytes:
    data = b""
    for name, matrix in weights(model)[num_left_out:]:
        number, content = stored(model, name, matrix)
        data += tensor(len(data), name, matrix.shape[::-1], number, content, aligned=True)
    return data


def test_data_begins_at_a_multiple_of_32_where_the_format_says_so() -> None:
    assert one(V3, 0, (8,), 32).start == 32
    assert one(GGML, 0, (8,), 32).start == 12 + 4 + 11


@pytest.mark.parametrize(
    ("form", "kind", "num_bytes", "num_bytes_today"),
    [(V3, 2, 36, 36), (V1, 2, 40, 36), (V1, 3, 48, 40), (V1, 6, 44, 44), (V1, 1, 128, 128)],
)
def test_sizes_then_and_today(
    form: Format, kind: int, num_bytes: int, num_bytes_today: int
) -> None:
    found = one(form, kind, (32, 2), num_bytes)
    assert (found.num_bytes, found.num_bytes_today) == (num_bytes, num_bytes_today)
    with pytest.raises(BadFile, match="in the data of norm.weight: 1 bytes are missing"):
        one(form, kind, (32, 2), num_bytes - 1)


def test_rows_are_whole_blocks() -> None:
    with pytest.raises(BadFile, match="rows of Q4_0 have a multiple of 32"):
        one(V3, 2, (48, 2), 1000)


def test_names_of_today() -> None:
    names = names_of(2)
    assert len(names) == 3 + 2 * 9 + 1 + 2
    assert names["layers.1.feed_forward.w2.weight"] == "blk.1.ffn_down.weight"
    assert names["layers.0.attention.inner_attention.rope.freqs"] is None
    assert "layers.2.attention.wq.weight" not in names


def test_all_of_a_model_in_any_order() -> None:
    found = read_tensors(source_of(all_of(MODEL)), V3, 1)
    assert set(found) == {new for new in names_of(1).values() if new is not None}
    assert found["blk.0.ffn_gate.weight"].shape == (64, 192)


def test_one_is_missing() -> None:
    with pytest.raises(BadFile, match="1 of 12 are missing, such as tok_embeddings.weight"):
        read_tensors(source_of(all_of(MODEL, 1)), V3, 1)


def test_one_of_another_model() -> None:
    with pytest.raises(BadFile, match="which no llama model with 0 layers has"):
        read_tensors(source_of(all_of(MODEL)), V3, 0)


@pytest.mark.parametrize("name", [b"norm\n.weight", b"norm.w\xc3\xa9ight", b"\0" * 8])
def test_names_that_could_not_be_shown(name: bytes) -> None:
    data = struct.pack("<4I", 1, len(name), 0, 8) + name + bytes(64)
    with pytest.raises(BadFile, match="tensor 1 at offset 0 has the name '") as caught:
        read_tensor(source_of(data), V3, 0)
    assert str(caught.value).isprintable() and str(caught.value).isascii()
