"""What the user may ask for, in old names and new ones, and what contradicts itself."""

from __future__ import annotations

import pytest

from cria_build.backends import BackendPlan
from cria_build.options import parse_options, translate_name
from cria_build.plan import cmake_flags
from tests.build_native.asking import parse, refused
from tests.build_native.fakes import fake_source


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LLAMA_CUBLAS", "GGML_CUDA"), ("LLAMA_HIPBLAS", "GGML_HIP"), ("LLAMA_AVX2", "GGML_AVX2"),
        ("LLAMA_AVX512_VNNI", "GGML_AVX512_VNNI"), ("LLAMA_BLAS_VENDOR", "GGML_BLAS_VENDOR"),
        ("LLAMA_CUDA_FORCE_MMQ", "GGML_CUDA_FORCE_MMQ"), ("LLAMA_NATIVE", "GGML_NATIVE"),
        ("LLAMA_CUDA_F16", None), ("LLAMA_CURL", None), ("LLAMA_BUILD_TESTS", "LLAMA_BUILD_TESTS"),
        ("LLAMA_OPENSSL", "LLAMA_OPENSSL"), ("GGML_CUDA", "GGML_CUDA"), ("OTHER", "OTHER"),
    ],
)  # fmt: skip
def test_old_names_are_translated(old: str, new: str | None) -> None:
    assert translate_name(old) == new


def test_translated_defines_reach_cmake_and_are_mentioned() -> None:
    options = parse("-DLLAMA_AVX512=OFF", "-D", "LLAMA_CUDA_F16=1", "-DGGML_LTO:BOOL=ON")
    assert options.defines == (("GGML_AVX512", "OFF"), ("GGML_LTO", "ON"))
    assert len(options.notes) == 2
    flags = cmake_flags(options, fake_source(), BackendPlan())
    assert flags["GGML_AVX512"] == "OFF" and flags["GGML_LTO"] == "ON"


@pytest.mark.parametrize(
    "argv",
    [("-DLLAMA_CUBLAS",), ("-D", "=1"), ("-DLLAMA_CUBLAS=perhaps",), ("-DBUILD_SHARED_LIBS=OFF",),
     ("-DLLAMA_STATIC=ON",), ("--cuda-arch", "75", "-DGGML_CUDA=OFF"), ("--jobs", "-1"),
     ("--hip", "--cuda-arch", "75"), ("-DCMAKE_CXX_COMPILER=clang++",)],
)  # fmt: skip
def test_contradictions_are_refused(argv: tuple[str, ...]) -> None:
    refused(parse_options, argv, {})


def test_environment_switch_must_be_on_or_off() -> None:
    assert parse(LLAMA_CUBLAS="0").backends == parse(LLAMA_CUBLAS="").backends == ()
    assert "LLAMA_CUBLAS" in refused(parse_options, (), {"LLAMA_CUBLAS": "maybe"})


@pytest.mark.parametrize("argv", [("--cublas",), ("--cuda", "75"), ("--source",), ("stray",)])
def test_unknown_options_are_refused(argv: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(*argv)
    assert caught.value.code == 2
