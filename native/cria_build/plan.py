"""The plan: everything that is known before the first file is compiled, and the key that names it.

The key is a hash of what changes the result: the flags, the sources of llama.cpp and of native/,
the compilers, the CPU and the environment. These modules are not in it: what they decide is.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from cria_build import paths
from cria_build.backends import BackendPlan, plan_backends
from cria_build.cpu import cpu_identity, is_x86
from cria_build.ladder import LADDERS, Attempt, list_attempts
from cria_build.options import BACKENDS, Options
from cria_build.source import Source, sha256_of
from cria_build.toolchain import find_toolchains

SOURCE_SUFFIXES = {".txt", ".c", ".cpp", ".h", ".lock"}

# fmt: off
ALWAYS_ON = ("BUILD_SHARED_LIBS", "LLAMA_BUILD_COMMON", "LLAMA_BUILD_TOOLS", "GGML_RPC",
             "CMAKE_BUILD_WITH_INSTALL_RPATH")
ALWAYS_OFF = ("LLAMA_BUILD_SERVER", "LLAMA_BUILD_TESTS", "LLAMA_BUILD_EXAMPLES", "LLAMA_BUILD_APP",
              "LLAMA_BUILD_UI", "LLAMA_OPENSSL", "LLAMA_CURL")
# fmt: on


@dataclass(frozen=True)
class Plan:
    """Everything that is known before the first file is compiled."""

    options: Options
    source: Source
    backends: BackendPlan
    attempts: tuple[Attempt, ...]
    flags: tuple[tuple[str, str], ...]
    key: str


def make_plan(options: Options, source: Source) -> Plan:
    toolchains = find_toolchains(os.environ, "cuda" in options.backends)
    backends = plan_backends(options)
    cpu, features = cpu_identity()
    flags = cmake_flags(options, source, backends)
    ladder = LADDERS["portable" if options.portable else "x86" if is_x86() else "other"]
    identity = {
        "flags": sorted(flags.items()),
        "source": [source.origin, source.state],
        "toolchains": [str(toolchain) for toolchain in toolchains],
        "cpu": None if options.portable else [cpu, sorted(features)],
        "env": [backends.env, os.environ.get("LDFLAGS")],
        "native": [sha256_of(path) for path in native_sources()],
    }
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    attempts = list_attempts(toolchains, ladder, features)
    return Plan(options, source, backends, tuple(attempts), tuple(flags.items()), key)


def native_sources() -> list[Path]:
    """The pin and what CMake reads of native/; neither these modules nor an editor's litter."""
    return sorted(path for path in paths.NATIVE.iterdir() if path.suffix in SOURCE_SUFFIXES)


def cmake_flags(options: Options, source: Source, backends: BackendPlan) -> dict[str, str]:
    flags = {"CMAKE_BUILD_TYPE": "Release", "LLAMA_BUILD_NUMBER": "0"}
    flags.update(LLAMA_CPP_DIR=str(source.tree), LLAMA_BUILD_COMMIT=source.commit)
    flags.update({**dict.fromkeys(ALWAYS_ON, "ON"), **dict.fromkeys(ALWAYS_OFF, "OFF")})
    flags["CMAKE_INSTALL_RPATH"] = "@loader_path" if sys.platform == "darwin" else "$ORIGIN"
    flags["GGML_NATIVE"] = "OFF" if options.portable else "ON"
    portable = "ON" if options.portable else "OFF"
    flags["GGML_BACKEND_DL"] = flags["GGML_CPU_ALL_VARIANTS"] = portable
    for name, switch in BACKENDS.items():
        flags[switch] = "ON" if name in options.backends else "OFF"
    for name, variable in (("CMAKE_C_FLAGS", "CFLAGS"), ("CMAKE_CXX_FLAGS", "CXXFLAGS")):
        if os.environ.get(variable):
            flags[name] = os.environ[variable]
    return {**flags, **dict(backends.defines), **dict(options.defines)}
