"""What the user is told: every refusal is one sentence that says what to do about it.

Knows no other module. What may be missing and what a failed step's output means are tables here,
so that the same cause has the same words wherever it is found.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from pathlib import Path

# fmt: off
# What may be missing: its name, why it is needed, how Debian/Ubuntu, Fedora and macOS install it.
MISSING = {
    "compiler": ("a C++ compiler", "llama.cpp is compiled on this machine",
        "sudo apt install build-essential", "sudo dnf install gcc-c++", "xcode-select --install"),
    "cmake": ("cmake 3.18 or newer", "it configures the build, and pip could not fetch it",
        "sudo apt install cmake", "sudo dnf install cmake", "brew install cmake"),
    "ninja": ("ninja", "it runs the build, and pip could not fetch it",
        "sudo apt install ninja-build", "sudo dnf install ninja-build", "brew install ninja"),
    "pip": ("pip", "it fetches sources and tools (a virtual environment: python -m ensurepip)",
        "sudo apt install python3-pip", "sudo dnf install python3-pip", "python3 -m ensurepip"),
    "git": ("git", "--git-ref clones llama.cpp",
        "sudo apt install git", "sudo dnf install git", "xcode-select --install"),
    "nvcc": ("the CUDA compiler nvcc", "a CUDA build compiles GPU kernels",
        "sudo apt install nvidia-cuda-toolkit", "sudo dnf install cuda-toolkit (NVIDIA's packages)",
        "CUDA is not there, use --metal"),
    "cublas": ("cuBLAS", "the CUDA backend includes its headers and links against it",
        "sudo apt install libcublas-dev-13-0 (13-0: your CUDA version) or nvidia-cuda-toolkit",
        "sudo dnf install libcublas-devel-13-0", "CUDA is not there, use --metal"),
    "hip": ("the ROCm compiler hipcc or its libraries", "a HIP build compiles GPU kernels",
        "sudo apt install hipcc libhipblas-dev librocblas-dev",
        "sudo dnf install hipcc hipblas-devel rocblas-devel", "HIP is not there, use --metal"),
    "vulkan": ("glslc, the Vulkan headers or the SPIR-V headers", "a Vulkan build compiles shaders",
        "sudo apt install libvulkan-dev glslc spirv-headers",
        "sudo dnf install vulkan-devel glslc spirv-headers-devel",
        "brew install vulkan-loader vulkan-headers shaderc spirv-headers"),
}

# What a line of a failed step's output means: a name in MISSING, or a sentence.
KNOWN_FAILURES = (
    (r"CUDA::cublas|cublas_v2\.h.*No such file", "cublas"),
    (r"CUDA::cuda_driver",
     "the CUDA toolkit has no libcuda to link against: install its driver package (cuda-driver-dev)"
     " or pass -D GGML_CUDA_NO_VMM=ON"),
    (r"Could NOT find Vulkan|SPIRV-Headers|vulkan/vulkan.*No such file", "vulkan"),
    (r'package configuration file provided by "(hip|hipblas|rocblas)"', "hip"),
    (r"No space left on device",
     "the disk is full: free some space, or set XDG_CACHE_HOME to a larger disk"),
    (r"Killed signal terminated program", "the compiler ran out of memory: try --jobs 1"),
    (r"unsupported (GNU|clang) version",
     "this CUDA toolkit refuses this C++ compiler: set CC and CXX to an older one"),
    (r"abi_probe\.c.*error:",
     "this llama.cpp has another C interface than Cria knows: use the one in native/llama.lock"),
    (r"is not able to compile a simple test program",
     "the compiler cannot compile a simple program: it is damaged or incomplete, see the log"),
)
# fmt: on


class BuildError(Exception):
    """What the user is told, in one sentence; the lines of `tail` are printed before it."""

    def __init__(self, sentence: str, tail: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.tail = tuple(tail)


def missing(piece: str) -> BuildError:
    what, why, debian, fedora, macos = MISSING[piece]
    install = f"Debian/Ubuntu: {debian}; Fedora: {fedora}; macOS: {macos}"
    return BuildError(f"{what} is missing: {why}. {install}.")


def step_failure(step: str, lines: Sequence[str], log: Path) -> BuildError:
    """The sentence for a known cause, else where to look; the output's end either way."""
    text = "\n".join(lines)
    for pattern, meaning in KNOWN_FAILURES:
        if re.search(pattern, text):
            sentence = str(missing(meaning)) if meaning in MISSING else f"{meaning}."
            return BuildError(f"{sentence} (Step: {step}; log: {log})", lines[-30:])
    return BuildError(f"{step} failed: its last lines are above, all are in {log}.", lines[-30:])


def explain(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full: free some space, or set XDG_CACHE_HOME to a larger disk."
    return f"{error.strerror or error}: {error.filename or 'no file is named'}."
