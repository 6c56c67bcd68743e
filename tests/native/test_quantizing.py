from __future__ import annotations

from pathlib import Path

import pytest

from cria.errors import ModelFileError
from cria.model_file import check_model_file
from cria.native import library
from cria.native.quantizing import Wishes, quantize

pytestmark = pytest.mark.integration
F16, Q8_0 = 1, 7


def test_weights_of_another_type(tiny_gguf: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.gguf"
    quantize(library.load(), str(tiny_gguf), str(target), Wishes(F16, allow_requantize=True))
    header = check_model_file(target)
    assert header.metadata["general.file_type"] == F16
    assert {tensor.type.name for tensor in header.tensors} == {"F16", "F32"}


def test_reasons_are_llama_cpps(tiny_gguf: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="requantizing from type .*--allow-requantize"):
        quantize(library.load(), str(tiny_gguf), str(tmp_path / "out.gguf"), Wishes(Q8_0))
    with pytest.raises(ModelFileError, match="none.gguf"):
        quantize(library.load(), str(tmp_path / "none.gguf"), "x", Wishes(Q8_0))
