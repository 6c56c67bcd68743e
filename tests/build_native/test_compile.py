"""What one attempt passes to the compilers, and what it makes of their answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from cria_build.build_tools import BuildTools
from cria_build.compile import Builder, attempt_flags, default_jobs
from cria_build.ladder import Attempt, Rung
from cria_build.toolchain import find_toolchains
from tests.build_native.asking import plan_for


def test_exclusions_reach_the_cpu_backend_and_follow_own_flags(tmp_path: Path) -> None:
    plan = plan_for(tmp_path, "-DCMAKE_C_FLAGS=-O1", "-DCRIA_CPU_FLAGS=-mine")
    real = find_toolchains({})[0]
    rung = Rung("test", "", ("-fno-builtin", "-mno-such-thing"), (("GGML_NATIVE", "OFF"),))
    flags = attempt_flags(plan, Attempt(real, rung))
    assert flags["CRIA_CPU_FLAGS"] == "-mine;-fno-builtin"
    assert flags["CMAKE_C_FLAGS"] == "-O1 -fno-builtin"
    assert flags["GGML_NATIVE"] == "OFF" and "CMAKE_CXX_FLAGS" not in flags


def test_no_option_is_without_effect_in_silence(
    tmp_path: Path, console: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_for(tmp_path, "-DGGML_TYPO=ON", "-DGGML_LTO=ON")
    builder = Builder(plan, BuildTools(Path("cmake"), Path("ninja")), console, tmp_path / "lib")
    builder.report_surprises("Manually-specified variables were not used by the project:\n\n"
                             "    GGML_TYPO\n\n")  # fmt: skip
    printed = capsys.readouterr().out
    assert "no option GGML_TYPO" in printed and "GGML_LTO" not in printed
    builder.report_surprises("-- OpenMP not found")
    assert "OpenMP" in capsys.readouterr().out


def test_progress_is_what_ninja_says(
    tmp_path: Path, console: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    tools = BuildTools(Path("cmake"), Path("ninja"))
    builder = Builder(plan_for(tmp_path), tools, console, tmp_path / "lib")
    builder.on_ninja_line("[50/200] Building")
    builder.on_ninja_line("a warning [60/100]")
    assert "25%" in capsys.readouterr().out and console.shown == 25


def test_jobs_fit_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    monkeypatch.setattr(os, "sysconf", lambda name: 2**15)  # 32768 pages of 32 KiB: 1 GiB
    assert default_jobs(()) == default_jobs(("cuda",)) == 1
    monkeypatch.setattr(os, "sysconf", lambda name: 2**17)  # 16 GiB
    assert default_jobs(()) == 16 and default_jobs(("cuda",)) == 5
