from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from cria.native.library import LIBRARY_DIR

REPOSITORY = Path(__file__).parents[2]


def check(lib: Path, model: Path) -> tuple[int, dict[str, object]]:
    """Run as the build script runs it: no site packages."""
    result = subprocess.run(
        [sys.executable, "-S", "-m", "cria.native.self_check", "--lib", lib, "--model", model],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    report: dict[str, object] = json.loads(result.stdout)
    return result.returncode, report


def test_good_libraries_decode_a_token(tiny_gguf: Path) -> None:
    code, report = check(LIBRARY_DIR, tiny_gguf)
    assert (code, report["ok"]) == (0, True)
    assert isinstance(report["logit"], float)


def test_missing_libraries_and_models_are_reported(tiny_gguf: Path, tmp_path: Path) -> None:
    code, report = check(tmp_path, tiny_gguf)
    assert code == 1 and "is not in" in str(report["reason"])
    code, report = check(LIBRARY_DIR, tmp_path / "none.gguf")
    assert code == 1 and "cannot load the small test model" in str(report["reason"])
