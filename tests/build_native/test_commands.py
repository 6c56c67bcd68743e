"""A short command answers, or its answer is empty."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cria_build.commands import output_of, version_of
from tests.build_native.fakes import executable


def test_what_cannot_be_run_or_fails_says_nothing(tmp_path: Path) -> None:
    assert output_of(executable(tmp_path / "good", "echo yes")) == "yes\n"
    assert output_of(executable(tmp_path / "bad", "echo yes; exit 3")) == ""
    assert output_of(tmp_path / "absent") == ""


def test_what_hangs_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*arguments: object, timeout: float, **others: object) -> None:
        raise subprocess.TimeoutExpired("slow", timeout)

    monkeypatch.setattr(subprocess, "run", run)
    assert output_of("slow") == ""


@pytest.mark.parametrize(
    ("text", "version"),
    [("cmake version 3.25.1", (3, 25)), ("1.11.1.git.kitware", (1, 11)), ("no number", ())],
)
def test_versions_are_numbers(tmp_path: Path, text: str, version: tuple[int, ...]) -> None:
    assert version_of(executable(tmp_path / "tool", f"echo {text}")) == version
