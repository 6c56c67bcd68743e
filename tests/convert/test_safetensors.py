from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.convert.safetensors import TensorFile
from cria.errors import ModelFileError
from tests.convert.tiny_bert import write_safetensors


def write(path: Path, header: object, data: bytes = bytes(16)) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def entry(**fields: object) -> dict[str, object]:
    return {"t": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16], **fields}}


def test_tensors_come_as_they_went(tmp_path: Path) -> None:
    tensors = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.array([1.5, -2], np.float16),
        "c": np.array([[0.25]], np.float64),
    }
    write_safetensors(tmp_path / "file", tensors)
    file = TensorFile(tmp_path / "file")
    assert file.names == ["a", "b", "c"]
    for name, tensor in tensors.items():
        assert file.read(name).dtype == np.float32
        np.testing.assert_array_equal(file.read(name), tensor)


def test_the_upper_half_of_a_float_is_one_too(tmp_path: Path) -> None:
    numbers = np.array([1.0, -3.5, 1e30, 0.0], np.float32)
    data = (numbers.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    header = entry(dtype="BF16", shape=[4], data_offsets=[0, 8])
    found = TensorFile(write(tmp_path / "file", header, data)).read("t")
    np.testing.assert_allclose(found, numbers, rtol=0.01)


@pytest.mark.parametrize(
    "header",
    [
        entry(dtype="I64"),
        entry(dtype=5),
        entry(shape=[2, 3]),
        entry(shape=[-2, -2]),
        entry(shape=["x"]),
        entry(data_offsets=[16, 32]),
        entry(data_offsets=[-400, -384]),
        entry(data_offsets=[16, 0]),
    ],
)
def test_a_header_that_lies_is_no_tensor(tmp_path: Path, header: object) -> None:
    file = TensorFile(write(tmp_path / "file", header))
    with pytest.raises(ModelFileError, match="is damaged"):
        file.read("t")
    with pytest.raises(ModelFileError, match="no tensor other"):
        file.read("other")


@pytest.mark.parametrize(
    "header", [[], 5, {"t": 5}, {"t": {}}, {"t": {"dtype": "F32", "shape": 5, "data_offsets": []}}]
)
def test_a_header_without_sense_is_one_sentence(tmp_path: Path, header: object) -> None:
    with pytest.raises(ModelFileError, match="does not parse"):
        TensorFile(write(tmp_path / "file", header))


VALUES = st.recursive(
    st.none()
    | st.integers(-(2**70), 2**70)
    | st.text(max_size=4)
    | st.sampled_from(["F32", "BF16"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets", "t"]), inner)
    ),
    max_leaves=8,
)


@given(st.binary(max_size=64) | st.builds(lambda v: json.dumps({"t": v}).encode(), VALUES))
def test_no_bytes_whatsoever_do_harm(
    tmp_path_factory: pytest.TempPathFactory, header: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(32))
    try:
        file = TensorFile(path)
        for name in file.names:
            assert file.read(name).dtype == np.float32
    except ModelFileError:
        pass


@given(st.binary(max_size=32))
def test_not_even_without_a_header(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(data)
    try:
        assert TensorFile(path).names == []
    except ModelFileError as error:
        assert "does not parse" in str(error)
