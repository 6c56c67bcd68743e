"""Whole runs with stand-ins for the commands: what is installed, kept, remembered."""

from __future__ import annotations

import hashlib
import json
import signal
from pathlib import Path
from typing import Any

import pytest

import build_native
from cria_build import paths
from cria_build.build_tools import BuildTools
from cria_build.cache import DISK_GIB
from cria_build.check import CheckResult
from cria_build.console import Console
from cria_build.info import read_info
from cria_build.ladder import LADDERS
from tests.build_native.fakes import fake_library, make_built, make_tree


class FakeSteps:
    """Stands in for the commands of a build; `failing` is the step that fails."""

    def __init__(self, failing: str = "", checks: tuple[int, ...] = (0,)) -> None:
        self.failing, self.checks = failing, list(checks)
        self.commands: list[str] = []

    def run(self, console: Any, command: list[str], *rest: Any) -> tuple[int, list[str]]:
        step = "configure" if "-S" in command else "compile"
        self.commands.append(step)
        if step == self.failing:
            return 1, ["it went wrong"]
        if step == "compile":
            folder = Path(command[command.index("-C") + 1])
            if not (folder / "bin").exists():
                make_built(folder / "bin")
        return 0, []

    def check(self, staging: Path, model: Path, log: Path) -> Any:
        return CheckResult(self.checks.pop(0), '{"ok": true}')


def build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, steps: FakeSteps, *argv: str) -> int:
    make_tree(tmp_path)
    tools = BuildTools(Path("cmake"), Path("ninja"))
    monkeypatch.setattr("cria_build.build.find_build_tools", lambda console: tools)
    monkeypatch.setattr(Console, "run", lambda *arguments: steps.run(*arguments))
    monkeypatch.setattr("cria_build.compile.run_check", steps.check)
    monkeypatch.setattr("cria_build.cache.DISK_GIB", dict.fromkeys(DISK_GIB, 0.0))
    return int(build_native.main(["--source", str(tmp_path / "tree"), *argv]))


def test_a_build_installs_and_a_second_one_does_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = FakeSteps()
    assert build(monkeypatch, tmp_path, steps) == 0
    info = json.loads((paths.LIB / "BUILD_INFO.json").read_text())
    assert {"commit", "source", "compiler", "flags", "features", "backends", "cuda_archs", "rung",
            "notes", "fallbacks", "llama_h_sha256", "built_at", "build_seconds",
            "key", "files", "check"} <= set(info)  # fmt: skip
    assert info["llama_h_sha256"] == hashlib.sha256(b"// llama.h").hexdigest()
    assert info["backends"] == ["cpu"]
    assert "libllama.so.0" in info["files"] and "layout.json" in info["files"]
    assert build(monkeypatch, tmp_path, steps) == 0
    assert steps.commands == ["configure", "compile"]
    assert "up to date" in capsys.readouterr().out
    assert build(monkeypatch, tmp_path, FakeSteps(), "--clean") == 0
    assert build_native.main(["--info"]) == 0
    assert f"commit: {info['commit']}" in capsys.readouterr().out


@pytest.mark.parametrize("failing", ["configure", "compile"])
def test_a_failing_step_leaves_the_old_build(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    failing: str,
) -> None:
    fake_library(paths.LIB, text="old")
    assert build(monkeypatch, tmp_path, FakeSteps(failing)) == 1
    printed = capsys.readouterr()
    assert failing in printed.err and "Traceback" not in printed.err
    assert "it went wrong" in printed.err
    assert (paths.LIB / "libllama.so.0").read_text() == "old"
    assert [path.name for path in paths.LIB.parent.iterdir()] == ["lib"]


def test_a_failed_check_leaves_the_old_build(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_library(paths.LIB, text="old")
    assert build(monkeypatch, tmp_path, FakeSteps(checks=(1,))) == 1
    assert (paths.LIB / "libllama.so.0").read_text() == "old"


def test_an_interrupt_leaves_the_old_build(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*arguments: object) -> Any:
        raise KeyboardInterrupt

    steps = FakeSteps()
    monkeypatch.setattr(steps, "check", interrupt)
    fake_library(paths.LIB, text="old")
    assert build(monkeypatch, tmp_path, steps) == 130
    assert "untouched" in capsys.readouterr().err
    assert [path.name for path in paths.LIB.parent.iterdir()] == ["lib"]


def test_a_crash_in_the_check_is_built_around_and_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(monkeypatch, tmp_path, FakeSteps(checks=(-signal.SIGILL, 0))) == 0
    info = read_info(paths.LIB)
    assert "SIGILL" in info["fallbacks"][0] and info["rung"] != LADDERS["x86"][0].name
    assert "SIGILL" in capsys.readouterr().out
