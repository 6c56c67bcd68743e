from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cria.cli import cria as group
from cria.errors import ModelFileError

pytestmark = pytest.mark.integration


def run(*args: object) -> Result:
    words = ["quantize", *map(str, args)]
    return CliRunner().invoke(group, words, catch_exceptions=False)


def test_a_type_in_small_letters(tiny_gguf: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.gguf"
    done = run(tiny_gguf, target, "f16", "--allow-requantize")
    assert done.exit_code == 0 and done.stdout.startswith(f"{target}: F16, ")
    assert "bits a weight" in done.stdout and "Quantising tiny.gguf" in done.stderr


def test_what_is_there_stays_unless_told_so(tiny_gguf: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.gguf"
    target.write_text("precious")
    assert "--force replaces it" in run(tiny_gguf, target, "F16").output
    assert target.read_text() == "precious"
    assert run(tiny_gguf, target, "F16", "--allow-requantize", "--force").exit_code == 0


@pytest.mark.parametrize("type", ["Q9_9", "IQ1_S", "nothing"])
def test_types_that_cannot_be_made(tiny_gguf: Path, tmp_path: Path, type: str) -> None:
    done = run(tiny_gguf, tmp_path / "out.gguf", type)
    assert done.exit_code == 2 and "q4_k_m" in done.output.lower()


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no file"):
        run(tmp_path / "none.gguf", tmp_path / "out.gguf", "F16")
