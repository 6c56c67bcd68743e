"""The build's modules without a build: on sys.path as `build_native.py` puts them there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "native"))

from cria_build import paths
from cria_build.console import Console


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the real cache, the real libraries or the caller's compiler settings."""
    (tmp_path / "native").mkdir()
    monkeypatch.setattr(paths, "LIB", tmp_path / "native" / "lib")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS", "LLAMA_CUBLAS", "CUDACXX"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def console(tmp_path: Path) -> Any:
    return Console(tmp_path / "build.log")
