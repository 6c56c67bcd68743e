"""CMake and Ninja come from the path or from a wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cria_build.build_tools import find_or_fetch
from cria_build.cache import cache_dir
from cria_build.console import Console
from tests.build_native.asking import refused
from tests.build_native.fakes import executable


def test_an_old_tool_is_replaced_by_the_wheel(
    tmp_path: Path, console: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable(tmp_path / "bin" / "cmake", "echo cmake version 3.5.1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    wheel = cache_dir() / "tools" / "cmake" / "cmake" / "data" / "bin" / "cmake"

    def pip(*arguments: object) -> tuple[int, list[str]]:
        executable(wheel, "echo cmake version 4.1.0")
        return 0, []

    monkeypatch.setattr(Console, "run", pip)
    assert find_or_fetch("cmake", ("cmake",), (3, 18), console) == wheel
    wheel.unlink()
    monkeypatch.setattr(Console, "run", lambda *arguments: (1, []))
    assert "cmake" in refused(find_or_fetch, "cmake", ("cmake",), (3, 18), console)
