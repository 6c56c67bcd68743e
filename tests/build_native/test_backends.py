"""A backend is planned from what the machine has, or says what is missing."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from cria_build.backends import plan_backends
from tests.build_native.asking import parse, refused
from tests.build_native.fakes import executable


def fake_cuda(folder: Path, monkeypatch: pytest.MonkeyPatch, capability: str) -> None:
    executable(folder / "nvcc", 'echo "Cuda compilation tools, release 12.8, V12.8.61"')
    executable(folder / "nvidia-smi", f'echo "{capability}"' if capability else "exit 9")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_HOME", raising=False)
    monkeypatch.delenv("CUDA_PATH", raising=False)


def test_cublas_is_cuda_for_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cuda(tmp_path / "bin", monkeypatch, "9.0")
    plans = [
        plan_backends(options)
        for options in (
            parse(LLAMA_CUBLAS="1"), parse("-D", "LLAMA_CUBLAS=ON"), parse("-DLLAMA_CUBLAS=on"),
            parse("-D", "GGML_CUDA=1"), parse("--cuda-arch", "native"), parse("--cuda-arch", "90"),
        )
    ]  # fmt: skip
    assert len(set(plans)) == 1
    assert ("CMAKE_CUDA_ARCHITECTURES", "90-real") in plans[0].defines


def test_named_architectures_are_all_that_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_cuda(tmp_path / "bin", monkeypatch, "9.0")
    plan = plan_backends(parse("--cuda-arch", "75", "--cuda-arch", "8.6", LLAMA_CUBLAS="1"))
    assert dict(plan.defines)["CMAKE_CUDA_ARCHITECTURES"] == "75-real;86-real"


def test_no_gpu_no_nvcc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cuda(tmp_path / "bin", monkeypatch, "")
    assert "--cuda-arch 75" in refused(plan_backends, parse(LLAMA_CUBLAS="yes"))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "nvcc" in refused(plan_backends, parse("--cuda-arch", "75"))


def test_other_backends_name_what_they_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "glslc" in refused(plan_backends, parse("--vulkan"))
    assert "hipcc" in refused(plan_backends, parse("--hip"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert "macOS" in refused(plan_backends, parse("--metal"))
