"""What the user asked for: the command line and LLAMA_CUBLAS, translated and checked.

1. Old names of llama.cpp's options are understood and mentioned, never silently dropped.
2. Two spellings of one wish give equal Options; two wishes that contradict each other are refused.
3. Looks at nothing but its arguments: what this machine can do is asked in `backends`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cria_build.cuda_archs import parse_cuda_archs
from cria_build.errors import BuildError

BACKENDS = {"cuda": "GGML_CUDA", "vulkan": "GGML_VULKAN", "hip": "GGML_HIP", "metal": "GGML_METAL"}

# fmt: off
# Upstream renamed its options from LLAMA_* to GGML_*; people's notes still have the old names.
RENAMED = {"LLAMA_CUBLAS": "GGML_CUDA", "LLAMA_HIPBLAS": "GGML_HIP"}
RENAMED_FAMILIES = re.compile(
    r"LLAMA_(CUDA|METAL|VULKAN|HIP|SYCL|CANN|RPC|NATIVE|BLAS|AVX|AVX2|AVX512|FMA|F16C|SSE42|BMI2|"
    r"AMX|ACCELERATE|LTO|CCACHE|OPENMP|LLAMAFILE|CPU|SCHED|LASX|LSX)(_\w+)?")
DROPPED = {"LLAMA_CUDA_F16", "LLAMA_CURL", "LLAMA_K_QUANTS", "LLAMA_CUDA_DMMV_X",
           "LLAMA_CUDA_MMV_Y", "LLAMA_CUDA_FORCE_DMMV", "LLAMA_CUDA_KQUANTS_ITER",
           "LLAMA_CUDA_PEER_MAX_BATCH_SIZE"}
NEVER = {"BUILD_SHARED_LIBS": False, "LLAMA_STATIC": True, "GGML_STATIC": True}
# fmt: on


@dataclass(frozen=True)
class Options:
    """What the user asked for, translated and checked."""

    source: Path | None = None
    git_ref: str | None = None
    backends: tuple[str, ...] = ()
    cuda_archs: tuple[str, ...] = ()
    defines: tuple[tuple[str, str], ...] = ()
    portable: bool = False
    clean: bool = False
    jobs: int = 0
    verbose: bool = False
    info: bool = False
    notes: tuple[str, ...] = ()


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="build_native.py",
        allow_abbrev=False,
        description="Build llama.cpp and Cria's own native library into cria/native/lib/. "
        "Without options: the pinned llama.cpp, for this machine's CPU.",
        epilog="From the environment: CC, CXX, CFLAGS, CXXFLAGS and LDFLAGS are the compiler's; "
        "LLAMA_CUBLAS=1 is CUDA for this machine's GPU; XDG_CACHE_HOME is where sources, tools "
        "and build folders are kept.",
    )
    tree = parser.add_mutually_exclusive_group()
    tree.add_argument("--source", metavar="DIR", type=Path, help="build this llama.cpp tree")
    tree.add_argument("--git-ref", metavar="REF", help="clone this upstream tag, branch or commit")
    archs = "CUDA for exactly these compute capabilities: 75, '75;86', sm_75, 7.5, native"
    parser.add_argument("--cuda-arch", metavar="ARCH", action="append", default=[], help=archs)
    parser.add_argument("--vulkan", action="store_true", help="build the Vulkan backend")
    parser.add_argument("--hip", action="store_true", help="build the HIP backend (AMD GPUs)")
    parser.add_argument("--metal", action="store_true", help="build the Metal backend (Apple)")
    cpu = "build for every CPU of this architecture; the best variant is chosen at run time"
    parser.add_argument("--portable", action="store_true", help=cpu)
    define = "a CMake option; old LLAMA_* names are translated"
    parser.add_argument("-D", metavar="NAME=VALUE", action="append", default=[], help=define)
    parser.add_argument("--clean", action="store_true", help="build again, from an empty folder")
    jobs = "compile N files at a time; if not given, what cores and memory allow"
    parser.add_argument("-j", "--jobs", type=int, default=0, metavar="N", help=jobs)
    parser.add_argument("-v", "--verbose", action="store_true", help="show each command's output")
    parser.add_argument("--info", action="store_true", help="say what is installed, and stop")
    return parser


def parse_options(argv: Sequence[str] | None, env: Mapping[str, str]) -> Options:
    args = make_parser().parse_args(argv)
    if args.jobs < 0:
        raise BuildError(f"--jobs {args.jobs} is no number of jobs: give 1 or more.")
    defines, notes = translate_defines(args.D)
    wanted = [name for name in ("vulkan", "hip", "metal") if getattr(args, name)]
    if args.cuda_arch or is_on(env.get("LLAMA_CUBLAS", ""), "LLAMA_CUBLAS"):
        wanted.append("cuda")
    backends = select_backends(wanted, defines)
    archs = parse_cuda_archs(args.cuda_arch)
    if "cuda" in backends and not archs and "CMAKE_CUDA_ARCHITECTURES" not in defines:
        archs = ("native",)
    return Options(
        source=args.source, git_ref=args.git_ref, backends=backends, cuda_archs=archs,
        defines=tuple((n, v) for n, v in defines.items() if n not in BACKENDS.values()),
        portable=args.portable, clean=args.clean, jobs=args.jobs, verbose=args.verbose,
        info=args.info, notes=notes,
    )  # fmt: skip


def is_on(value: str, name: str) -> bool:
    """CMake's idea of true and false, minus its habit of taking any other word for false."""
    word = value.strip().upper()
    if word in ("1", "ON", "YES", "TRUE", "Y"):
        return True
    if word in ("", "0", "OFF", "NO", "FALSE", "N"):
        return False
    raise BuildError(f"{name}={value} is neither on nor off: give ON or OFF.")


def translate_defines(texts: Iterable[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """New names and values, and a note for each name that changed or went away."""
    defines: dict[str, str] = {}
    notes = []
    for text in texts:
        match = re.fullmatch(r"([A-Za-z_]\w*)(?::[A-Z]+)?=(.*)", text, re.DOTALL)
        if not match:
            raise BuildError(f"-D {text} is not of the form NAME=VALUE.")
        old, value = match.groups()
        new = translate_name(old)
        if old in NEVER and is_on(value, old) == NEVER[old]:
            raise BuildError(f"-D {text} cannot be: Cria loads llama.cpp as shared libraries.")
        if old in ("CMAKE_C_COMPILER", "CMAKE_CXX_COMPILER"):
            raise BuildError(f"-D {old} is not the way: set CC and CXX in the environment.")
        if new is None:
            notes.append(f"{old} no longer exists in llama.cpp and is left out")
            continue
        if new != old:
            notes.append(f"{old} is called {new} now")
        defines[new] = value
    return defines, tuple(notes)


def translate_name(name: str) -> str | None:
    if name in DROPPED:
        return None
    if name in RENAMED:
        return RENAMED[name]
    return f"GGML_{name.removeprefix('LLAMA_')}" if RENAMED_FAMILIES.fullmatch(name) else name


def select_backends(wanted: Iterable[str], defines: Mapping[str, str]) -> tuple[str, ...]:
    """`--hip` and `-D GGML_HIP=ON` say the same thing; they may not contradict each other."""
    chosen = set(wanted)
    for backend, switch in BACKENDS.items():
        if is_on(defines.get(switch, ""), switch):
            chosen.add(backend)
        elif backend in chosen and switch in defines:
            raise BuildError(f"-D {switch}=OFF contradicts the request for {backend}: choose one.")
    if {"cuda", "hip"} <= chosen:
        raise BuildError("CUDA and HIP cannot be built together: choose one.")
    return tuple(sorted(chosen))
