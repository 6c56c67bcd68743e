"""What the end of the child means, and a child that finds nothing to load."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from cria_build.check import CheckResult, run_check
from tests.build_native.asking import refused


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ('noise\n{"ok": false, "reason": "it differs"}\n\n', "it differs"),
        ("a line\nthe last line\n", "the last line"),
        ('["no object"]', '["no object"]'),
        ("", "exit code 3"),
    ],
)
def test_the_reason_is_the_last_line(output: str, reason: str) -> None:
    assert CheckResult(3, output).reason == reason


def test_only_a_signal_of_a_forbidden_instruction_is_a_crash() -> None:
    assert CheckResult(-signal.SIGILL, "").crash == "SIGILL"
    codes = (0, 1, signal.SIGILL, -signal.SIGKILL, -signal.SIGTERM)
    assert [CheckResult(code, "").crash for code in codes] == [""] * 5


def test_a_check_of_nothing_fails_with_a_reason_and_is_logged(tmp_path: Path) -> None:
    staging, folder, log = tmp_path / "staging", tmp_path / "folder", tmp_path / "log"
    staging.mkdir()
    folder.mkdir()
    result = run_check(staging, folder, log)
    assert result.returncode == 1 and result.crash == "" and result.reason
    assert "self_check" in log.read_text() and log.read_text().endswith("exit code 1\n")
    assert sorted(path.name for path in folder.iterdir()) == ["tiny.gguf", "vocab.gguf"]


def test_a_check_that_hangs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*arguments: object, timeout: float, **others: object) -> None:
        raise subprocess.TimeoutExpired("check", timeout)

    monkeypatch.setattr(subprocess, "run", run)
    assert "longer than" in refused(run_check, tmp_path, tmp_path, tmp_path / "log")
