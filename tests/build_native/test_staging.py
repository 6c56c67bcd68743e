"""What is copied out of a build folder, and under which name."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cria_build.ladder import AMX_VARIANTS
from cria_build.staging import built_backends, probe_layout, stage_libraries
from tests.build_native.asking import refused
from tests.build_native.fakes import executable, make_built


def test_libraries_keep_the_name_that_the_loader_asks_for(tmp_path: Path) -> None:
    built = make_built(tmp_path / "bin")
    stage_libraries(built, tmp_path / "stage", AMX_VARIANTS)
    staged = {path.name: path for path in (tmp_path / "stage").iterdir()}
    names = ["libcria_native.so", "libggml-base.so.0", "libggml-cpu-haswell.so", "libllama.so.0"]
    assert sorted(staged) == names
    assert staged["libllama.so.0"].read_text() == "llama"
    assert not staged["libllama.so.0"].is_symlink()
    assert staged["libllama.so.0"].stat().st_mode & stat.S_IXUSR


def test_a_backend_is_known_by_its_library(tmp_path: Path) -> None:
    stage_libraries(make_built(tmp_path / "bin"), tmp_path / "stage", ())
    (tmp_path / "stage" / "libggml-cuda.so.0").touch()
    assert built_backends(tmp_path / "stage") == ["cpu", "cuda"]


@pytest.mark.parametrize("script", ["echo nonsense", "exit 1"])
def test_a_probe_without_an_answer_is_refused(tmp_path: Path, script: str) -> None:
    target = tmp_path / "layout.json"
    probe_layout(executable(tmp_path / "good", "echo '{}'"), target)
    assert target.read_text() == "{}\n"
    assert "--clean" in refused(probe_layout, executable(tmp_path / "bad", script), target)
