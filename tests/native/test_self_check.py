from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cria.native.library import LIBRARY_DIR
from cria.native.tiny_model import write_tiny_vocab

REPOSITORY = Path(__file__).parents[2]


def check(lib: Path, model: Path, vocab: Path) -> tuple[int, dict[str, object]]:
    """Run as the build script runs it: no site packages."""
    command = [sys.executable, "-S", "-m", "cria.native.self_check", "--lib", str(lib)]
    result = subprocess.run(
        [*command, "--model", str(model), "--vocab", str(vocab)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    report: dict[str, object] = json.loads(result.stdout)
    return result.returncode, report


@pytest.mark.skipif(sys.platform != "linux", reason="where compilers link statically")
def test_a_static_cpp_library_is_reported(tiny_gguf: Path, vocab: Path, tmp_path: Path) -> None:
    source = tmp_path / "x.cpp"
    source.write_text(
        '#include <regex>\nextern "C" bool f() { return std::regex("a") .flags(); }\n'
    )
    library = tmp_path / "libx.so"
    command = ["c++", "-shared", "-fPIC", "-static-libstdc++", str(source), "-o", str(library)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("needs a compiler with a static C++ library")
    code, report = check(tmp_path, tiny_gguf, vocab)
    assert code == 3 and str(report["reason"]).startswith("libx.so: the compiler links")


@pytest.fixture
def vocab(tmp_path: Path) -> Path:
    write_tiny_vocab(tmp_path / "vocab.gguf")
    return tmp_path / "vocab.gguf"


def test_good_libraries_decode_a_token(tiny_gguf: Path, vocab: Path) -> None:
    code, report = check(LIBRARY_DIR, tiny_gguf, vocab)
    assert (code, report["ok"]) == (0, True)
    assert isinstance(report["logit"], float)


def test_missing_libraries_and_models_are_reported(
    tiny_gguf: Path, vocab: Path, tmp_path: Path
) -> None:
    code, report = check(tmp_path, tiny_gguf, vocab)
    assert code == 1 and "is not in" in str(report["reason"])
    code, report = check(LIBRARY_DIR, tmp_path / "none.gguf", vocab)
    assert code == 1 and "cannot load the small test model" in str(report["reason"])
    code, report = check(LIBRARY_DIR, tiny_gguf, tmp_path / "none.gguf")
    assert code == 1 and "cannot load the small vocabulary" in str(report["reason"])
    code, report = check(LIBRARY_DIR, tiny_gguf, tiny_gguf)
    assert code == 1 and "tokens, not 10" in str(report["reason"])
