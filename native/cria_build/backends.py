"""The GPU backends: what must be there before minutes of compiling, and what they add to a build.

What is missing is refused here, with the command that installs it, not in CMake's words later.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cria_build.commands import output_of
from cria_build.cuda_archs import check_cuda_archs, parse_cuda_archs
from cria_build.errors import BuildError, missing
from cria_build.options import Options


@dataclass(frozen=True)
class BackendPlan:
    """What the chosen backends add to the build."""

    defines: tuple[tuple[str, str], ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    cuda_archs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def plan_backends(options: Options) -> BackendPlan:
    if "vulkan" in options.backends and not shutil.which("glslc"):
        raise missing("vulkan")
    if "metal" in options.backends and sys.platform != "darwin":
        raise BuildError("Metal is macOS's GPU interface: try --vulkan or --cuda-arch here.")
    if "cuda" in options.backends:
        return plan_cuda(options)
    return plan_hip() if "hip" in options.backends else BackendPlan()


def plan_cuda(options: Options) -> BackendPlan:
    nvcc = find_nvcc()
    match = re.search(r"release (\d+)\.(\d+)", output_of(nvcc, "--version"))
    if not match:
        raise BuildError(f"{nvcc} does not tell its version: install the CUDA toolkit again.")
    archs = resolve_native(options.cuda_archs)
    check_cuda_archs(archs, (int(match[1]), int(match[2])))
    defines = [("CMAKE_CUDA_COMPILER", str(nvcc))]
    if archs:
        # "-real": machine code for exactly these, no PTX to be compiled on a first start elsewhere.
        defines.append(("CMAKE_CUDA_ARCHITECTURES", ";".join(f"{arch}-real" for arch in archs)))
    notes = []
    if not has_nvidia_driver():
        defines.append(("GGML_CUDA_NO_VMM", "ON"))
        notes.append("no NVIDIA driver here: built without CUDA's VMM pool, so that it loads here")
    return BackendPlan(tuple(defines), (), archs, tuple(notes))


def find_nvcc() -> Path:
    homes = filter(None, map(os.environ.get, ("CUDA_HOME", "CUDA_PATH")))
    candidates = [os.environ.get("CUDACXX"), *(f"{home}/bin/nvcc" for home in homes)]
    candidates += [shutil.which("nvcc"), "/usr/local/cuda/bin/nvcc", "/opt/cuda/bin/nvcc"]
    for candidate in candidates:
        if candidate and shutil.which(candidate):
            return Path(candidate)
    raise missing("nvcc")


def resolve_native(archs: Sequence[str]) -> tuple[str, ...]:
    """`native` becomes what nvidia-smi says, so that both spellings are one build."""
    if "native" not in archs:
        return tuple(archs)
    answer = output_of("nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader")
    found = [row.strip() for row in answer.splitlines() if re.fullmatch(r"\d+\.\d", row.strip())]
    if not found:
        what = "no NVIDIA GPU is visible (nvidia-smi lists none)"
        raise BuildError(f"{what}: name the architecture, for instance --cuda-arch 75.")
    return parse_cuda_archs([*(arch for arch in archs if arch != "native"), *found])


def has_nvidia_driver() -> bool:
    listings = (output_of("ldconfig", "-p"), output_of("/sbin/ldconfig", "-p"))
    folders = filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":"))
    name = "libcuda.so.1"
    return any(name in text for text in listings) or any((Path(f) / name).exists() for f in folders)


def plan_hip() -> BackendPlan:
    hipcc = shutil.which("hipcc") or shutil.which("/opt/rocm/bin/hipcc")
    hipconfig = str(Path(hipcc).with_name("hipconfig")) if hipcc else ""
    root, compilers = output_of(hipconfig, "-R").strip(), output_of(hipconfig, "-l").strip()
    if not root or not compilers:
        raise missing("hip")
    return BackendPlan(env=(("HIPCXX", f"{compilers}/clang"), ("HIP_PATH", root)))
