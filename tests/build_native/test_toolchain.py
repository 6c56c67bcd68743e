"""The compilers of the user and of the system, in that order."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cria_build.toolchain import find_toolchains, plain_environment
from tests.build_native.asking import refused
from tests.build_native.fakes import executable


def test_no_compiler_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    sentence = refused(find_toolchains, {})
    for command in ("apt install build-essential", "dnf install gcc-c++", "xcode-select"):
        assert command in sentence


def test_the_users_compiler_comes_first(tmp_path: Path) -> None:
    mine = str(executable(tmp_path / "mine", "echo mine 1.0"))
    found = find_toolchains({"CC": mine, "CXX": mine})
    assert found[0].version == "mine 1.0" and len(found) == 2
    assert "CXX" in refused(find_toolchains, {"CXX": "/no/such/compiler"})


def test_nvcc_gets_the_host_compiler_of_its_toolchain(tmp_path: Path) -> None:
    mine = str(executable(tmp_path / "mine", "echo mine 1.0"))
    (system,) = find_toolchains({}, cuda=True)
    assert dict(system.cuda)["CUDAHOSTCXX"] == shutil.which(system.cxx)
    users, fallback = find_toolchains({"CXX": mine}, cuda=True)
    assert dict(users.cuda) == {"CUDAHOSTCXX": mine} and fallback == system
    users, fallback = find_toolchains({"NVCC_PREPEND_FLAGS": "-ccbin x"}, cuda=True)
    assert dict(users.cuda)["NVCC_PREPEND_FLAGS"] == "-ccbin x" and fallback == system
    assert len(find_toolchains({"CUDAHOSTCXX": mine})) == 1, "no CUDA, no difference"


def test_pip_and_cmake_do_not_see_the_compiler_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "strange")
    assert "CXX" not in plain_environment()
