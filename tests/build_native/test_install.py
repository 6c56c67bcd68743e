"""The swap of libraries happens whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from cria_build import paths
from cria_build.install import install, recover
from tests.build_native.fakes import fake_library


def test_install_replaces_or_leaves_alone(tmp_path: Path) -> None:
    new = fake_library(tmp_path / "native" / "lib.new-1", text="new")
    install(new, paths.LIB)
    assert (paths.LIB / "libllama.so.0").read_text() == "new"
    with pytest.raises(FileNotFoundError):
        install(tmp_path / "absent", paths.LIB)
    assert (paths.LIB / "libllama.so.0").read_text() == "new"
    assert [path.name for path in paths.LIB.parent.iterdir()] == ["lib"]


def test_a_kill_between_the_two_renames_is_repaired() -> None:
    fake_library(paths.LIB).rename(paths.LIB.with_name("lib.old"))
    recover(paths.LIB)
    assert paths.LIB.is_dir()
