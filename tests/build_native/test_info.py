"""BUILD_INFO.json decides what is current."""

from __future__ import annotations

import pytest

import build_native
from cria_build import paths
from cria_build.info import is_current
from tests.build_native.fakes import fake_library


def test_current_means_same_key_and_whole_files() -> None:
    lib = fake_library(paths.LIB)
    assert is_current(lib, "k") and not is_current(lib, "other")
    (lib / "libllama.so.0").write_text("")
    assert not is_current(lib, "k")
    assert not is_current(lib / "absent", "k")
    (lib / "BUILD_INFO.json").write_text("[]")
    assert not is_current(lib, "k")


def test_info_without_a_build(capsys: pytest.CaptureFixture[str]) -> None:
    assert build_native.main(["--info"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
