"""Control vectors: sums, and files that do not fit."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from cria.errors import ModelFileError
from cria.model_file import BaseModel, sum_control_vectors
from tests.adapter_files import write_control_vector

BASE = BaseModel("llama", {}, num_layers=4, width=8)
ONES = np.ones(8, np.float32)


def test_vectors_are_scaled_and_added(tmp_path: Path) -> None:
    one = write_control_vector(tmp_path / "1.gguf", {1: ONES, 3: 2 * ONES})
    two = write_control_vector(tmp_path / "2.gguf", {3: ONES})
    total = sum_control_vectors([(str(one), 0.5), (str(two), -3)], BASE)
    assert total[:, 0].tolist() == [0.5, 0.0, -2.0]
    assert total.shape == (3, 8)


@pytest.mark.parametrize(
    ("directions", "words"),
    [
        ({}, "no directions"),
        ({0: ONES}, "layers 1 to 3"),
        ({4: ONES}, "layers 1 to 3"),
        ({1: ONES[:4]}, "8 numbers"),
        ({1: ONES.astype(np.float16)}, "8 numbers"),
        ({1: ONES * np.float32("nan")}, "no number"),
        ({"01": ONES}, "no direction of a layer"),
        ({"x": ONES}, "no direction of a layer"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, directions: dict[int, object], words: str) -> None:
    path = write_control_vector(tmp_path / "v.gguf", directions)  # type: ignore[arg-type]
    with pytest.raises(ModelFileError, match=words):
        sum_control_vectors([(str(path), 1.0)], BASE)


def test_what_is_for_others(tmp_path: Path) -> None:
    path = write_control_vector(tmp_path / "v.gguf", {1: ONES})
    with pytest.raises(ModelFileError, match="for llama models"):
        sum_control_vectors([(str(path), 1.0)], BaseModel("qwen2", {}, 4, 8))
    writer = gguf.GGUFWriter(tmp_path / "w.gguf", "llama")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(ModelFileError, match="not a controlvector"):
        sum_control_vectors([(str(tmp_path / "w.gguf"), 1.0)], BASE)
