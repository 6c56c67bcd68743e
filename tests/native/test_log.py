from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cria.errors import ModelFileError
from cria.native import log
from cria.native.library import Library
from cria.native.model import Model


def test_what_llama_cpp_says_goes_to_logging(
    native: Library, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "x.gguf").write_bytes(b"nonsense")
    with caplog.at_level(logging.DEBUG, "cria.llama"), pytest.raises(ModelFileError):
        Model(native, str(tmp_path / "x.gguf"))
    assert any("magic" in record.getMessage() for record in caplog.records)
    assert {record.name for record in caplog.records} == {"cria.llama"}


def test_an_empty_ring_is_silent(native: Library) -> None:
    log.drain(native)
    assert log.drain(native) == []
