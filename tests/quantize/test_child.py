"""The process that quantises; what it makes is tried through `test_init`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from cria.quantize import Job, Wishes

pytestmark = pytest.mark.integration


def test_its_last_line_is_the_reason(tiny_gguf: Path, tmp_path: Path) -> None:
    job = Job(str(tiny_gguf), str(tmp_path / "out.gguf"), Wishes(7))
    command = [sys.executable, "-m", "cria.quantize.child", msgspec.json.encode(job).decode()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"Cannot quantise {tiny_gguf}: requantizing")
