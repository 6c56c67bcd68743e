"""The head that is written, read back by the library gguf and by the checks of model files."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.legacy.gguf_file import (
    Planned,
    f32,
    f32s,
    head,
    i32s,
    num_data_bytes,
    padded,
    padding,
    string,
    strings,
    u32,
)

PAIRS = [
    ("general.architecture", string("llama")),
    ("a.u32", u32(7)),
    ("a.f32", f32(1e-5)),
    ("a.texts", strings([b"x", "\u2581".encode(), b""])),
    ("a.floats", f32s([0.5, -1e9])),
    ("a.ints", i32s([1, -1])),
]


@pytest.fixture
def reader(tmp_path: Path) -> gguf.GGUFReader:
    first, second = np.arange(5, dtype="<f4"), np.arange(6, dtype="<f2").reshape(2, 3)
    planned = [Planned("first", (5,), 0, 20), Planned("second", (3, 2), 1, 12)]
    data = head(PAIRS, planned)
    for each in (first, second):
        data += each.tobytes() + padding(each.nbytes)
    assert len(data) == len(head(PAIRS, planned)) + num_data_bytes(planned)
    (tmp_path / "m.gguf").write_bytes(data)
    return gguf.GGUFReader(tmp_path / "m.gguf")


def test_values(reader: gguf.GGUFReader) -> None:
    told = {key: field.contents() for key, field in reader.fields.items() if "GGUF" not in key}
    assert told == {
        "general.architecture": "llama",
        "a.u32": 7,
        "a.f32": pytest.approx(1e-5),
        "a.texts": ["x", "\u2581", ""],
        "a.floats": [0.5, -1e9],
        "a.ints": [1, -1],
    }


def test_tensors(reader: gguf.GGUFReader) -> None:
    first, second = reader.tensors
    assert (first.name, first.data.tolist()) == ("first", [0, 1, 2, 3, 4])
    assert (second.name, second.data.tolist()) == ("second", [[0, 1, 2], [3, 4, 5]])


@given(st.integers(0, 10_000))
def test_padding(size: int) -> None:
    assert padded(size) % 32 == 0 and 0 <= padded(size) - size < 32
    assert padding(size) == bytes(padded(size) - size)
