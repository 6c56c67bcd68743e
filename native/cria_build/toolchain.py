"""The C and C++ compilers: which ones, what they understand, and what they may use of the CPU.

The user's choice in CC, CXX and nvcc's variables comes first; the system's is the fallback.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cria_build.commands import output_of
from cria_build.cpu import is_x86
from cria_build.errors import BuildError, missing

HOST_COMPILER = ("CUDAHOSTCXX", "NVCC_CCBIN", "NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS")
X86_SWITCHES = ("GGML_SSE42", "GGML_AVX", "GGML_AVX2", "GGML_BMI2", "GGML_FMA", "GGML_F16C")

# How compilers name the CPU features that they may use.
FEATURE_MACROS = re.compile(
    r"#define __(SSE4_2|AVX|AVX2|FMA|F16C|BMI2|AVXVNNI|AVX512[A-Z0-9]+|AMX_[A-Z0-9]+|"
    r"ARM_FEATURE_(?:DOTPROD|MATMUL_INT8|SVE\w*|SME))(?:__)? "
)


@dataclass(frozen=True)
class Toolchain:
    cc: str
    cxx: str
    version: str
    cuda: tuple[tuple[str, str], ...] = ()
    """The environment that tells nvcc its host compiler; without it nvcc takes any on the path."""


def find_toolchains(env: Mapping[str, str], cuda: bool = False) -> list[Toolchain]:
    """The user's compilers if the environment names any, then the system's."""
    pairs = [("cc", "c++"), ("gcc", "g++"), ("clang", "clang++")]
    system = next((pair for pair in pairs if all(map(shutil.which, pair))), None)
    names = ("CC", "CXX", *(HOST_COMPILER if cuda else ()))
    found = []
    if any(map(env.get, names)):
        cc, cxx = system or ("cc", "c++")
        mine = {name: env[name] for name in HOST_COMPILER if cuda and env.get(name)}
        found.append(inspect_toolchain(env.get("CC") or cc, env.get("CXX") or cxx, cuda, mine))
    if system:
        found.append(inspect_toolchain(*system, cuda))
    if not found:
        raise missing("compiler")
    return found


def inspect_toolchain(
    cc: str, cxx: str, cuda: bool = False, nvcc: Mapping[str, str] | None = None
) -> Toolchain:
    version = output_of(*shlex.split(cxx), "--version").partition("\n")[0].strip()
    if not version or not output_of(*shlex.split(cc), "--version"):
        what = f"the compilers {cc} and {cxx} cannot be run"
        raise BuildError(f"{what}: correct or unset CC and CXX, or repair the installation.")
    host = {"CUDAHOSTCXX": shutil.which(cxx) or cxx} if cuda else {}
    return Toolchain(cc, cxx, version, tuple(sorted({**host, **(nvcc or {})}.items())))


def plain_environment() -> dict[str, str]:
    """Without the compiler's variables: pip must not see them, CMake gets them spelled out."""
    compiler = {"CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", *HOST_COMPILER}
    return {name: value for name, value in os.environ.items() if name not in compiler}


def supported_flags(toolchain: Toolchain, flags: Sequence[str]) -> tuple[str, ...]:
    """An old compiler neither emits the newest instructions nor knows how to forbid them."""
    probe = [*shlex.split(toolchain.cxx), "-Werror", "-dM", "-E", "-x", "c++", "/dev/null"]
    return tuple(flag for flag in flags if output_of(*probe, flag))


def cpu_features(toolchain: Toolchain, flags: Mapping[str, str]) -> list[str]:
    """What the compiler may use in the CPU backend, asked of the compiler itself."""
    if flags["GGML_CPU_ALL_VARIANTS"] == "ON":
        return ["chosen at run time"]
    chosen = ["-march=native" if is_x86() else "-mcpu=native"]
    if flags["GGML_NATIVE"] != "ON":
        names = [
            name.removeprefix("GGML_").lower() for name in X86_SWITCHES if flags.get(name) == "ON"
        ]
        chosen = [f"-m{name}".replace("sse42", "sse4.2") for name in names]
    extra = [*shlex.split(flags.get("CMAKE_CXX_FLAGS", "")), *chosen]
    extra += filter(None, flags["CRIA_CPU_FLAGS"].split(";"))
    command = [*shlex.split(toolchain.cxx), *extra, "-dM", "-E", "-x", "c++", "/dev/null"]
    return sorted(match[1].rstrip("_") for match in FEATURE_MACROS.finditer(output_of(*command)))
