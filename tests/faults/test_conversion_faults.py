"""Conversions that are killed, run twice at once, or find the disk full."""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cria.model_file import check_model_file
from tests.convert import tiny_bert
from tests.real_server import REPOSITORY

pytestmark = pytest.mark.fault

NUM_KILLS = 12
LONGEST_SECONDS = 1.0
"""A conversion takes about half of it, most of that for the imports."""


def start(source: Path, target: Path, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cria", "convert", str(source), str(target), "--force"]
    return subprocess.Popen(
        command,
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    tiny_bert.write_model(tmp_path / "source")
    return tmp_path / "source"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def test_a_kill_at_any_moment_leaves_nothing_half(source: Path, folder: Path) -> None:
    target, chance = folder / "model.gguf", random.Random(0)
    for _ in range(NUM_KILLS):
        process = start(source, target)
        try:
            process.wait(chance.uniform(0, LONGEST_SECONDS))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        if target.exists():
            check_model_file(target)
            target.unlink()
    process = start(source, target)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert os.listdir(folder) == ["model.gguf"]


def test_two_at_once(source: Path, folder: Path) -> None:
    target = folder / "model.gguf"
    both = [start(source, target) for _ in range(2)]
    for process in both:
        process.communicate(timeout=30)
    assert [process.returncode for process in both] == [0, 0]
    check_model_file(target)
    assert os.listdir(folder) == ["model.gguf"]


def test_a_full_disk(source: Path, folder: Path) -> None:
    """A limit on the size of a file stands in for the disk; Python ignores its signal."""
    target = folder / "model.gguf"
    target.write_text("what was there")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    process = start(source, target, preexec_fn=limit)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert errors.startswith("Error: ") and "File too large" in errors and errors.count("\n") == 1
    assert target.read_text() == "what was there" and os.listdir(folder) == ["model.gguf"]


def test_too_little_room_is_said_before(
    source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cria.convert import convert
    from cria.errors import SetupError

    usage = shutil.disk_usage(folder)._replace(free=5)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(SetupError, match="MB are free"):
        convert(source, folder / "model.gguf")
    assert os.listdir(folder) == []
