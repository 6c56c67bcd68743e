"""The flags and the key follow what is built, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from cria_build import paths
from cria_build.backends import BackendPlan
from cria_build.plan import cmake_flags, native_sources
from tests.build_native.asking import parse, plan_for
from tests.build_native.fakes import fake_source


def test_portable_builds_every_variant() -> None:
    flags = cmake_flags(parse("--portable"), fake_source(), BackendPlan())
    assert (flags["GGML_BACKEND_DL"], flags["GGML_CPU_ALL_VARIANTS"]) == ("ON", "ON")
    assert flags["GGML_NATIVE"] == "OFF"


def test_the_key_follows_what_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = plan_for(tmp_path).key
    assert plan_for(tmp_path).key == plan_for(tmp_path, "--jobs", "1", "--verbose").key == key
    assert plan_for(tmp_path, "-DGGML_LTO=ON").key != key
    assert plan_for(tmp_path, "--portable").key != key
    monkeypatch.setattr("cria_build.plan.cpu_identity", lambda: ("another CPU", frozenset()))
    assert plan_for(tmp_path).key != key
    monkeypatch.undo()
    monkeypatch.setenv("CXXFLAGS", "-O1")
    assert plan_for(tmp_path).key != key


def test_the_key_knows_the_sources_and_not_the_build_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {path.name for path in native_sources()}
    assert {"CMakeLists.txt", "abi_probe.c", "cria_native.cpp", "llama.lock"} <= names
    native = tmp_path / "sources"
    (native / "cria_build").mkdir(parents=True)
    (native / "one.cpp").write_text("1")
    monkeypatch.setattr(paths, "NATIVE", native)
    key = plan_for(tmp_path).key
    (native / "cria_build" / "plan.py").touch()
    (native / ".one.cpp.swp").touch()
    assert plan_for(tmp_path).key == key
    (native / "one.cpp").write_text("2")
    assert plan_for(tmp_path).key != key
