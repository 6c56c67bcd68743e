from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from click.testing import CliRunner

from cria.cli.convert import command
from cria.convert import convert
from cria.errors import SetupError
from tests.convert import tiny_bert


@pytest.fixture
def model(tmp_path: Path) -> Path:
    tiny_bert.write_model(tmp_path / "model")
    return tmp_path / "model"


def test_a_folder_becomes_a_file(model: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.gguf"
    done = CliRunner().invoke(command, [str(model), str(target)])
    assert (done.exit_code, done.output) == (0, f"{target}: 0 MB\n")
    assert target.read_bytes()[:4] == b"GGUF"


def test_a_file_is_replaced_only_if_told_so(model: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.gguf"
    target.write_text("precious")
    refused = CliRunner().invoke(command, [str(model), str(target)])
    assert refused.exit_code == 2 and "--force" in refused.output
    assert target.read_text() == "precious"
    assert CliRunner().invoke(command, [str(model), str(target), "--force"]).exit_code == 0
    assert target.read_bytes()[:4] == b"GGUF"


def test_a_failure_leaves_no_file_behind(model: Path, tmp_path: Path) -> None:
    (model / "vocab.txt").unlink()
    with pytest.raises(SetupError):
        convert(model, tmp_path / "out.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_target_that_cannot_be_written_is_one_sentence(model: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read or written"):
        convert(model, tmp_path / "none" / "out.gguf")


def test_without_the_library_it_says_what_to_install(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(SetupError, match=r"cria\[convert\]"):
        convert(model, tmp_path / "out.gguf")
