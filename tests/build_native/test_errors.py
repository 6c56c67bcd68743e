"""Each cause of a failure has its sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from cria_build.errors import MISSING, explain, missing, step_failure


def test_every_missing_piece_has_three_commands() -> None:
    for piece in MISSING:
        sentence = str(missing(piece))
        assert all(name in sentence for name in ("Debian/Ubuntu:", "Fedora:", "macOS:"))


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("CMake Error: Target links to: CUDA::cublas but the target was not found", "cuBLAS"),
        ("fatal error: cublas_v2.h: No such file or directory", "cuBLAS"),
        ("Could NOT find Vulkan (missing: Vulkan_LIBRARY)", "Vulkan headers"),
        ("g++: fatal error: Killed signal terminated program cc1plus", "--jobs 1"),
        ("cc1: error writing to x.o: No space left on device", "disk is full"),
        ("native/abi_probe.c:70:5: error: no member named 'load_mtp'", "native/llama.lock"),
        ("something nobody foresaw", "build.log"),
    ],
)
def test_known_failures_are_explained(line: str, word: str) -> None:
    lines = [f"line {number}" for number in range(100)] + [line]
    error = step_failure("compile", lines, Path("build.log"))
    assert word in str(error) and len(error.tail) == 30 and error.tail[-1] == line


def test_an_error_of_the_system_names_its_file() -> None:
    assert explain(OSError(13, "Permission denied", "/x")) == "Permission denied: /x."
    assert "XDG_CACHE_HOME" in explain(OSError(28, "No space left on device"))
