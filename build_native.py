#!/usr/bin/env python3
"""Fetch llama.cpp, build it, prove that it works, install it into `cria/native/lib/`.

Runs on a bare Python, before anything is installed: standard library only, never imports cria.

1. What is installed has passed its check: it is made beside the old libraries and swapped in last.
2. A failure that a user can cause or repair is a BuildError: one sentence, never a traceback.
3. The options, the sources, the compiler and the CPU decide what is built. Their hash, the key in
   BUILD_INFO.json, makes a second run a no-op.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent
NATIVE = ROOT / "native"
LIB = ROOT / "cria" / "native" / "lib"
UPSTREAM = "https://github.com/ggml-org/llama.cpp"

# --- Tables -------------------------------------------------------------------------------------
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

NETWORK_TROUBLE = re.compile(
    r"NewConnection|name resolution|Max retries|Connection(Error|Refused|Reset)|Proxy ?Error|"
    r"[Tt]imed out|SSLError|Connection (refused|broken|reset)|No route to host")

# First and last CUDA toolkit for each compute capability; None: still supported.
CUDA_ARCHS: dict[int, tuple[tuple[int, int], tuple[int, int] | None]] = {
    35: ((5, 0), (11, 8)), 37: ((6, 5), (11, 8)), 50: ((6, 0), (12, 9)), 52: ((6, 5), (12, 9)),
    53: ((7, 0), (12, 9)), 60: ((8, 0), (12, 9)), 61: ((8, 0), (12, 9)), 62: ((8, 0), (12, 9)),
    70: ((9, 0), (12, 9)), 72: ((9, 2), (12, 9)), 75: ((10, 0), None), 80: ((11, 0), None),
    86: ((11, 1), None), 87: ((11, 4), None), 88: ((13, 0), None), 89: ((11, 8), None),
    90: ((11, 8), None), 100: ((12, 8), None), 101: ((12, 8), (12, 9)), 103: ((12, 9), None),
    110: ((13, 0), None), 120: ((12, 8), None), 121: ((12, 9), None),
}

BACKENDS = {"cuda": "GGML_CUDA", "vulkan": "GGML_VULKAN", "hip": "GGML_HIP", "metal": "GGML_METAL"}
DISK_GIB = {"cpu": 1.5, "cuda": 6.0, "hip": 6.0, "vulkan": 2.5, "metal": 1.5}

# Upstream renamed its options from LLAMA_* to GGML_*; people's notes still have the old names.
RENAMED = {"LLAMA_CUBLAS": "GGML_CUDA", "LLAMA_HIPBLAS": "GGML_HIP"}
RENAMED_FAMILIES = re.compile(
    r"LLAMA_(CUDA|METAL|VULKAN|HIP|SYCL|CANN|RPC|NATIVE|BLAS|AVX|AVX2|AVX512|FMA|F16C|SSE42|BMI2|"
    r"AMX|ACCELERATE|LTO|CCACHE|OPENMP|LLAMAFILE|CPU|SCHED|LASX|LSX)(_\w+)?")
DROPPED = {"LLAMA_CUDA_F16", "LLAMA_CURL", "LLAMA_K_QUANTS", "LLAMA_CUDA_DMMV_X",
           "LLAMA_CUDA_MMV_Y", "LLAMA_CUDA_FORCE_DMMV", "LLAMA_CUDA_KQUANTS_ITER",
           "LLAMA_CUDA_PEER_MAX_BATCH_SIZE"}
NEVER = {"BUILD_SHARED_LIBS": False, "LLAMA_STATIC": True, "GGML_STATIC": True}

ALWAYS_ON = ("BUILD_SHARED_LIBS", "LLAMA_BUILD_COMMON", "LLAMA_BUILD_TOOLS", "GGML_RPC",
             "CMAKE_BUILD_WITH_INSTALL_RPATH")
ALWAYS_OFF = ("LLAMA_BUILD_SERVER", "LLAMA_BUILD_TESTS", "LLAMA_BUILD_EXAMPLES", "LLAMA_BUILD_APP",
              "LLAMA_BUILD_UI", "LLAMA_OPENSSL", "LLAMA_CURL")


@dataclass(frozen=True)
class Rung:
    """A choice of CPU features; `feature`: pointless unless the CPU advertises one so named."""

    name: str
    feature: str = ""
    cpu_flags: tuple[str, ...] = ()
    defines: tuple[tuple[str, str], ...] = ()
    dropped_variants: tuple[str, ...] = ()


NO_AMX = ("-mno-amx-tile", "-mno-amx-int8", "-mno-amx-bf16")
NO_AVX512 = (*NO_AMX, "-mno-avx512f", "-mno-avx512bf16", "-mno-avx512fp16", "-mno-avxvnni")
X86_SWITCHES = ("GGML_SSE42", "GGML_AVX", "GGML_AVX2", "GGML_BMI2", "GGML_FMA", "GGML_F16C")
AVX2 = (("GGML_NATIVE", "OFF"), *((name, "ON") for name in X86_SWITCHES))
PLAIN = (("GGML_NATIVE", "OFF"), *((name, "OFF") for name in X86_SWITCHES))
AMX_VARIANTS = ("sapphirerapids",)
AVX512_VARIANTS = (*AMX_VARIANTS, "skylakex", "cannonlake", "cascadelake", "icelake", "cooperlake",
                   "zen4")

# A hypervisor may advertise CPU features and kill the process that uses them. Each ladder is
# climbed down from its top until a build survives its check.
LADDERS = {
    "x86": (
        Rung("no CPU feature excluded"),
        Rung("no AMX", "amx", NO_AMX),
        Rung("no AMX, no AVX-512", "avx512", NO_AVX512),
        Rung("AVX2 baseline", "avx2", NO_AVX512, AVX2),
        Rung("plain x86-64", "", NO_AVX512, PLAIN),
    ),
    "other": (
        Rung("no CPU feature excluded"),
        Rung("the architecture's baseline", "", (), (("GGML_NATIVE", "OFF"),)),
    ),
    "portable": (
        Rung("every CPU variant"),
        Rung("no AMX variant", "amx", dropped_variants=AMX_VARIANTS),
        Rung("no AMX, no AVX-512 variant", "avx512", dropped_variants=AVX512_VARIANTS),
    ),
}
# fmt: on

# How compilers name the CPU features that they may use.
FEATURE_MACROS = re.compile(
    r"#define __(SSE4_2|AVX|AVX2|FMA|F16C|BMI2|AVXVNNI|AVX512[A-Z0-9]+|AMX_[A-Z0-9]+|"
    r"ARM_FEATURE_(?:DOTPROD|MATMUL_INT8|SVE\w*|SME))(?:__)? "
)
CRASHES = {signal.SIGILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE}
CHECK_SECONDS = 180


class BuildError(Exception):
    """What the user is told, in one sentence; the lines of `tail` are printed before it."""

    def __init__(self, sentence: str, tail: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.tail = tuple(tail)


def missing(piece: str) -> BuildError:
    what, why, debian, fedora, macos = MISSING[piece]
    install = f"Debian/Ubuntu: {debian}; Fedora: {fedora}; macOS: {macos}"
    return BuildError(f"{what} is missing: {why}. {install}.")


# --- Options ------------------------------------------------------------------------------------


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
        description="Build llama.cpp and Cria's own native library into cria/native/lib/.",
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
    parser.add_argument("--clean", action="store_true", help="start from an empty build folder")
    jobs = "compile N files at a time"
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
    return f"GGML_{name[len('LLAMA_'):]}" if RENAMED_FAMILIES.fullmatch(name) else name


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


def parse_cuda_archs(texts: Iterable[str]) -> tuple[str, ...]:
    """Lists of 75, sm_75, compute_75, 7.5, 90a or native, to 75 and so on, each once."""
    found: dict[str, None] = {}
    for text in texts:
        words = [word for word in re.split(r"[;,\s]+", text) if word]
        if not words:
            raise BuildError("--cuda-arch is empty: give for instance 75, 86 or native.")
        found.update((parse_cuda_arch(word), None) for word in words)
    return tuple(found)


def parse_cuda_arch(word: str) -> str:
    text = word.lower()
    if text == "native":
        return text
    match = re.fullmatch(r"(?:sm_?|compute_?)?([0-9]{2,3})([af]?)", text) or re.fullmatch(
        r"([0-9]{1,2}\.[0-9])([af]?)", text
    )
    number, suffix = (int(match[1].replace(".", "")), match[2]) if match else (0, "")
    # 90a and 100f name features of one architecture or family; older ones have no such variants.
    if number not in CUDA_ARCHS or (suffix and number < {"a": 90, "f": 100}[suffix]):
        known = ", ".join(map(str, CUDA_ARCHS))
        raise BuildError(f"'{word}' is no CUDA architecture: give native or one of {known}.")
    return f"{number}{suffix}"


# --- Small tools --------------------------------------------------------------------------------


def cache_dir() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "cria"


def output_of(*command: str | Path) -> str:
    """A short command's output; an empty string if it cannot be run or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def version_of(*command: str | Path) -> tuple[int, ...]:
    match = re.search(r"(\d+)\.(\d+)", output_of(*command, "--version"))
    return (int(match[1]), int(match[2])) if match else ()


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def plain_environment() -> dict[str, str]:
    """Without the compiler's variables: pip must not see them, CMake gets them spelled out."""
    compiler = {"CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", *HOST_COMPILER}
    return {name: value for name, value in os.environ.items() if name not in compiler}


@dataclass
class Console:
    """Steps, progress and the log. On a terminal, a step's line is rewritten in place."""

    log: Path
    verbose: bool = False
    started: float = field(default_factory=time.monotonic)
    title: str = ""
    shown: int = 0
    open_line: bool = False

    @property
    def elapsed(self) -> str:
        return duration(time.monotonic() - self.started)

    @property
    def in_place(self) -> bool:
        return sys.stdout.isatty() and not self.verbose

    def end_line(self) -> None:
        if self.open_line:
            print(flush=True)
        self.open_line = False

    def say(self, text: str) -> None:
        self.end_line()
        print(text, flush=True)

    def step(self, number: int, title: str) -> None:
        self.end_line()
        self.title, self.shown = f"[{number}/6] {title}", 0
        self.open_line = self.in_place
        print(self.title, end="" if self.in_place else "\n", flush=True)

    def percent(self, value: int) -> None:
        if value <= self.shown or (not self.in_place and value < min(100, self.shown + 20)):
            return
        self.shown = value
        line = f"{self.title} ... {value}% {self.elapsed}"
        print(f"\r\x1b[K{line}" if self.in_place else line, end="" if self.in_place else "\n")
        sys.stdout.flush()

    def run(
        self,
        command: Sequence[str | Path],
        env: Mapping[str, str],
        on_line: Callable[[str], None] = lambda line: None,
    ) -> tuple[int, list[str]]:
        """Run a long command into the log; whatever ends us ends its whole process group."""
        lines = []
        with self.log.open("a", buffering=1, errors="replace") as log:
            log.write(f"\n$ {shlex.join(map(str, command))}\n")
            with subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
            ) as child:  # fmt: skip
                try:
                    for line in child.stdout or ():
                        lines.append(line.rstrip("\n"))
                        log.write(line)
                        on_line(line)
                        if self.verbose:
                            print(line, end="", flush=True)
                    return child.wait(), lines
                finally:
                    end_group(child)


def end_group(child: subprocess.Popen[str]) -> None:
    """Ninja removes half-written objects when it is asked to end, so ask before killing."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(child.pid, number)
                child.wait(5)


def step_failure(step: str, lines: Sequence[str], log: Path) -> BuildError:
    """The sentence for a known cause, else where to look; the output's end either way."""
    text = "\n".join(lines)
    for pattern, meaning in KNOWN_FAILURES:
        if re.search(pattern, text):
            sentence = str(missing(meaning)) if meaning in MISSING else f"{meaning}."
            return BuildError(f"{sentence} (Step: {step}; log: {log})", lines[-30:])
    return BuildError(f"{step} failed: its last lines are above, all are in {log}.", lines[-30:])


# --- Compiler, CPU, build tools -----------------------------------------------------------------


@dataclass(frozen=True)
class Toolchain:
    cc: str
    cxx: str
    version: str
    cuda: tuple[tuple[str, str], ...] = ()
    """The environment that tells nvcc its host compiler; without it nvcc takes any on the path."""


HOST_COMPILER = ("CUDAHOSTCXX", "NVCC_CCBIN", "NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS")


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


def cpu_identity() -> tuple[str, frozenset[str]]:
    """A name for this CPU, and the features that it advertises (none known outside Linux)."""
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace").partition("\n\n")[0]
    except OSError:
        return f"{platform.machine()} {platform.processor()}", frozenset()
    values = dict(re.findall(r"^([^\t:]+?)\s*:\s*(.*)$", text, re.MULTILINE))
    features = values.get("flags") or values.get("Features") or ""
    name = f"{platform.machine()} {values.get('model name', '')}".strip()
    return name, frozenset(features.split())


def is_x86() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64", "i686")


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
        names = [name[len("GGML_") :].lower() for name in X86_SWITCHES if flags.get(name) == "ON"]
        chosen = [f"-m{name}".replace("sse42", "sse4.2") for name in names]
    extra = [*shlex.split(flags.get("CMAKE_CXX_FLAGS", "")), *chosen]
    extra += filter(None, flags["CRIA_CPU_FLAGS"].split(";"))
    command = [*shlex.split(toolchain.cxx), *extra, "-dM", "-E", "-x", "c++", "/dev/null"]
    return sorted(match[1].rstrip("_") for match in FEATURE_MACROS.finditer(output_of(*command)))


@dataclass(frozen=True)
class BuildTools:
    cmake: Path
    ninja: Path


def find_build_tools(console: Console) -> BuildTools:
    cmake = find_or_fetch("cmake", ("cmake", "cmake3"), (3, 18), console)
    return BuildTools(cmake, find_or_fetch("ninja", ("ninja", "ninja-build"), (1, 8), console))


def find_or_fetch(
    package: str, names: Sequence[str], oldest: tuple[int, int], console: Console
) -> Path:
    """The user's own tool if it is new enough, else the wheel, in a folder of our cache."""
    folder = cache_dir() / "tools" / package
    fetched = [folder / package / "data" / "bin" / package, folder / "bin" / package]
    on_path = [Path(path) for path in map(shutil.which, names) if path]
    for candidate in (*on_path, *fetched):
        if version_of(candidate) >= oldest:
            return candidate
    require_pip()
    console.say(f"      fetching {package} into {folder}")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--no-deps"]
    command = [*pip, "--only-binary", ":all:", "--target", str(folder), package]
    code, _ = console.run(command, plain_environment())
    for candidate in fetched:
        if code == 0 and version_of(candidate) >= oldest:
            return candidate
    raise missing(package)


def require_pip() -> None:
    if not output_of(sys.executable, "-m", "pip", "--version"):
        raise missing("pip")


# --- Source -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lock:
    package: str
    version: str
    sdist: str
    bytes: int
    sha256: str
    source: str
    commit: str


def read_lock(path: Path) -> Lock:
    rows = (row.partition("=") for row in path.read_text().splitlines() if row[:1] != "#")
    values: dict[str, Any] = {name.strip(): value.strip() for name, sign, value in rows if sign}
    try:
        return Lock(**{**values, "bytes": int(values["bytes"])})
    except (KeyError, TypeError, ValueError) as error:
        raise BuildError(f"{path} is damaged ({error}): restore it from git.") from error


@dataclass(frozen=True)
class Source:
    """A llama.cpp tree; `state` changes whenever its content does."""

    tree: Path
    origin: str
    commit: str
    state: str


def find_source(options: Options, console: Console) -> Source:
    if options.source:
        return tree_source(options.source)
    if options.git_ref:
        return git_source(options.git_ref, console)
    return locked_source(read_lock(NATIVE / "llama.lock"))


def locked_source(lock: Lock) -> Source:
    """Where the pinned tree is, or will be once `fetch_locked` has run."""
    name = f"{lock.package}-{lock.version}-{lock.sha256[:12]}"
    origin = f"{lock.package} {lock.version}"
    return Source(cache_dir() / "source" / name, origin, lock.commit, lock.sha256)


def fetch_locked(lock: Lock, tree: Path, console: Console) -> None:
    if tree.is_dir():
        return
    archive = tree.parent / "download" / lock.sdist
    archive.parent.mkdir(parents=True, exist_ok=True)
    if not archive.is_file():
        download(lock, archive, console)
    verify(archive, lock)
    unpack(archive, lock, tree)


def download(lock: Lock, archive: Path, console: Console) -> None:
    require_pip()
    console.say(f"      downloading {lock.sdist} ({lock.bytes / 1e6:.0f} MB)")
    # Not "--no-binary :all:", which compiles even the package's build backend from source.
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", lock.package]
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        command = [*pip, f"{lock.package}=={lock.version}", "-d", folder]
        code, lines = console.run(command, plain_environment())
        fetched = Path(folder) / lock.sdist
        if code != 0 or not fetched.is_file():
            raise download_failure(lock, archive.parent, lines)
        verify(fetched, lock)
        fetched.replace(archive)


def download_failure(lock: Lock, folder: Path, lines: Sequence[str]) -> BuildError:
    what = f"pip could not fetch {lock.package} {lock.version}"
    if NETWORK_TROUBLE.search("\n".join(lines)):
        what = f"pip could not reach the package index to fetch {lock.package} {lock.version}"
    ways = f"put {lock.sdist} into {folder}, or name a llama.cpp tree with --source"
    return BuildError(f"{what}: check the network and pip's settings, {ways}.", lines[-8:])


def verify(archive: Path, lock: Lock) -> None:
    """A wrong file is removed, so that the next run fetches it anew."""
    actual = sha256_of(archive)
    if actual == lock.sha256:
        return
    archive.unlink()
    raise BuildError(
        f"{archive.name} has the sha256 {actual}, but native/llama.lock pins {lock.sha256}: it "
        "was damaged or replaced on its way and has been removed; try again, or check the index."
    )


def unpack(archive: Path, lock: Lock, tree: Path) -> None:
    """Only llama.cpp itself, and moved to its place when it is complete."""
    prefix = f"{lock.sdist.removesuffix('.tar.gz')}/{lock.source}"
    with tempfile.TemporaryDirectory(dir=tree.parent) as folder, tarfile.open(archive) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extraction_filter = tarfile.data_filter
        # Not the file .git: it points to a repository that does not exist here.
        inside = (m for m in tar if m.name.startswith(f"{prefix}/") and m.name != f"{prefix}/.git")
        tar.extractall(folder, inside)
        unpacked = Path(folder) / prefix
        if not (unpacked / "include" / "llama.h").is_file():
            raise BuildError(f"{archive.name} has no {lock.source}: native/llama.lock is wrong.")
        unpacked.rename(tree)


def tree_source(folder: Path) -> Source:
    tops = (folder.expanduser().resolve(), folder.expanduser().resolve() / "vendor" / "llama.cpp")
    for tree in tops:
        if (tree / "include" / "llama.h").is_file():
            return Source(tree, str(tree), git_commit(tree), tree_state(tree))
    raise BuildError(f"--source {folder} is no llama.cpp tree: it has no include/llama.h.")


def git_commit(tree: Path) -> str:
    return output_of("git", "-C", tree, "rev-parse", "--short=9", "HEAD").strip() or "unknown"


def tree_state(tree: Path) -> str:
    """Names, sizes and times of what is compiled: cheap, and changed by every edit."""
    parts = ("CMakeLists.txt", "cmake", "include", "src", "ggml", "tools/mtmd", "common", "vendor")
    digest = hashlib.sha256()
    for top in (tree / part for part in parts):
        for path in sorted([top, *top.rglob("*")]):
            if path.is_file():
                status = path.stat()
                row = f"{path.relative_to(tree)} {status.st_size} {status.st_mtime_ns}\n"
                digest.update(row.encode())
    return digest.hexdigest()


def git_source(ref: str, console: Console) -> Source:
    """A clone per ref. Tags and commits never move; only a branch asks the network again."""
    if not shutil.which("git"):
        raise missing("git")
    tree = cache_dir() / "source" / ("git-" + re.sub(r"[^\w.-]", "_", ref))
    fixed = re.fullmatch(r"[0-9a-f]{7,40}|[bv]\d[\w.]*", ref)
    if not tree.is_dir():
        clone(ref, tree, console)
    elif not fixed:
        git(console, "-C", str(tree), "fetch", "--quiet", "origin", ref)
        git(console, "-C", str(tree), "checkout", "--quiet", "--detach", "FETCH_HEAD")
    state = output_of("git", "-C", tree, "rev-parse", "HEAD").strip()
    return Source(tree, f"git {ref}", git_commit(tree), state)


def clone(ref: str, tree: Path, console: Console) -> None:
    console.say(f"      cloning {UPSTREAM} at {ref}")
    tree.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tree.parent) as folder:
        new = f"{folder}/clone"
        git(console, "clone", "--quiet", "--filter=blob:none", "--no-checkout", UPSTREAM, new)
        branch = f"origin/{ref}"
        is_branch = output_of("git", "-C", new, "rev-parse", "--verify", "--quiet", branch)
        git(console, "-C", new, "checkout", "--quiet", "--detach", branch if is_branch else ref)
        Path(new).rename(tree)


def git(console: Console, *arguments: str) -> None:
    code, lines = console.run(["git", *arguments], {**os.environ, "GIT_TERMINAL_PROMPT": "0"})
    if code != 0:
        what = f"git could not get what --git-ref names from {UPSTREAM}"
        raise BuildError(f"{what}: check the name and the network.", lines[-5:])


# --- Backends: what must be there before minutes of compiling -----------------------------------


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


def check_cuda_archs(archs: Iterable[str], toolkit: tuple[int, int]) -> None:
    for arch in archs:
        first, last = CUDA_ARCHS[int(arch.rstrip("af"))]
        name = f"CUDA {toolkit[0]}.{toolkit[1]}"
        if toolkit < first:
            need = f"{first[0]}.{first[1]} or newer"
            raise BuildError(f"{name} is too old for architecture {arch}: install CUDA {need}.")
        if last and toolkit > last:
            need = f"{last[0]}.{last[1]} or older"
            raise BuildError(f"{name} is too new for architecture {arch}: install CUDA {need}.")


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


# --- The plan -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Attempt:
    toolchain: Toolchain
    rung: Rung

    def __str__(self) -> str:
        return f"{self.rung.name}, {self.toolchain.cxx}"


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
        "native": [sha256_of(path) for path in sorted(NATIVE.iterdir()) if path.is_file()],
    }
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    attempts = list_attempts(toolchains, ladder, features)
    return Plan(options, source, backends, tuple(attempts), tuple(flags.items()), key)


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


def list_attempts(
    toolchains: Sequence[Toolchain], ladder: Sequence[Rung], features: Iterable[str]
) -> list[Attempt]:
    """The user's compiler has one try with everything; then the system's goes down the ladder."""
    known = tuple(features)
    rungs = [
        rung for rung in ladder
        if not known or any(feature.startswith(rung.feature) for feature in known)
    ]  # fmt: skip
    first = [Attempt(toolchains[0], rungs[0])] if len(toolchains) > 1 else []
    return first + [Attempt(toolchains[-1], rung) for rung in rungs]


def skip_crashed(attempts: Sequence[Attempt], info: Mapping[str, Any]) -> tuple[Attempt, ...]:
    """What crashed on this CPU last time need not be compiled and crash again."""
    if info.get("fallbacks") and info.get("cpu") == cpu_identity()[0]:
        for index, attempt in enumerate(attempts):
            done = (info.get("rung"), info.get("compiler", {}).get("version"))
            if done == (attempt.rung.name, attempt.toolchain.version):
                return tuple(attempts[index:])
    return tuple(attempts)


# --- Build and check ----------------------------------------------------------------------------


@dataclass(frozen=True)
class CheckResult:
    returncode: int
    output: str

    @property
    def crash(self) -> str:
        """The signal that ended the child, if it is one that forbidden instructions lead to."""
        return signal.Signals(-self.returncode).name if -self.returncode in CRASHES else ""

    @property
    def reason(self) -> str:
        """The last line that the child printed, or what its JSON gives as the reason."""
        last = next((row for row in reversed(self.output.splitlines()) if row.strip()), "")
        with contextlib.suppress(ValueError, AttributeError):
            return str(json.loads(last).get("reason", last))
        return last or f"exit code {self.returncode}"


def climb_down(
    attempts: Sequence[Attempt],
    build_and_check: Callable[[Attempt], CheckResult],
    say: Callable[[str], None],
) -> tuple[Attempt, CheckResult, list[str]]:
    """Try the attempts in order while the check crashes; any other refusal is final."""
    fallbacks: list[str] = []
    for attempt in attempts:
        if fallbacks:
            say(f"      {fallbacks[-1]}; building again: {attempt}")
        result = build_and_check(attempt)
        if result.returncode == 0:
            return attempt, result, fallbacks
        if not result.crash:
            why = result.reason.rstrip(".")
            raise BuildError(f"the new libraries do not pass their check: {why}.")
        fallbacks.append(f"the check died of {result.crash} with {attempt}")
    raise BuildError(
        f"the libraries crash on this machine however they are built ({'; '.join(fallbacks)}): "
        "please report this, with the log."
    )


@dataclass(frozen=True)
class Builder:
    plan: Plan
    tools: BuildTools
    console: Console
    staging: Path

    def build_and_check(self, attempt: Attempt) -> CheckResult:
        started = time.monotonic()
        flags = attempt_flags(self.plan, attempt)
        folder = self.prepare_folder(attempt.toolchain)
        self.configure(folder, attempt.toolchain, flags)
        self.compile(folder, attempt.toolchain)
        self.console.step(5, "check")
        stage_libraries(folder / "bin", self.staging, attempt.rung.dropped_variants)
        probe_layout(folder / "bin" / "abi_probe", self.staging / "layout.json")
        info = describe(self.plan, attempt, flags)
        info["backends"] = built_backends(self.staging)
        info["build_seconds"] = round(time.monotonic() - started, 1)
        write_info(self.staging, info)
        return run_check(self.staging, folder, self.console.log)

    def prepare_folder(self, toolchain: Toolchain) -> Path:
        """One per compiler and set of options; the rungs of a ladder share it."""
        name = hashlib.sha256(repr((sorted(self.plan.flags), toolchain)).encode()).hexdigest()[:12]
        folder = cache_dir() / "build" / name
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        return folder

    def environment(self, toolchain: Toolchain) -> dict[str, str]:
        env = plain_environment() | dict(self.plan.backends.env)
        env.update(CC=toolchain.cc, CXX=toolchain.cxx, NINJA_STATUS="[%f/%t] ")
        return env | dict(toolchain.cuda)

    def configure(self, folder: Path, toolchain: Toolchain, flags: Mapping[str, str]) -> None:
        self.console.step(3, "configure")
        command = [str(self.tools.cmake), "-S", str(NATIVE), "-B", str(folder), "-G", "Ninja"]
        command.append(f"-DCMAKE_MAKE_PROGRAM={self.tools.ninja}")
        command += [f"-D{name}={value}" for name, value in flags.items()]
        code = -1
        try:
            code, lines = self.console.run(command, self.environment(toolchain))
        finally:
            if code != 0:  # what CMake half knows would mislead the next run
                shutil.rmtree(folder, ignore_errors=True)
        if code != 0:
            raise step_failure("configure", lines, self.console.log)
        self.report_surprises("\n".join(lines))

    def report_surprises(self, output: str) -> None:
        """Neither an unknown option nor a slow build may pass in silence."""
        if "OpenMP not found" in output:
            self.console.say("      note: no OpenMP (clang: libomp-dev), decoding will be slower")
        _, _, unused = output.partition("variables were not used by the project:")
        for name, _ in self.plan.options.defines:
            if re.search(rf"^\s+{re.escape(name)}$", unused, re.MULTILINE):
                self.console.say(f"      note: llama.cpp has no option {name}; it had no effect")

    def compile(self, folder: Path, toolchain: Toolchain) -> None:
        self.console.step(4, "compile")
        jobs = self.plan.options.jobs or default_jobs(self.plan.options.backends)
        command = [str(self.tools.ninja), "-C", str(folder), "-j", str(jobs), "cria"]
        code, lines = self.console.run(command, self.environment(toolchain), self.on_ninja_line)
        if code != 0:
            raise step_failure("compile", lines, self.console.log)

    def on_ninja_line(self, line: str) -> None:
        if match := re.match(r"\[(\d+)/(\d+)\]", line):
            self.console.percent(100 * int(match[1]) // int(match[2]))


def attempt_flags(plan: Plan, attempt: Attempt) -> dict[str, str]:
    """A user's own compiler flags reach every file; there the exclusions must follow them."""
    usable = supported_flags(attempt.toolchain, attempt.rung.cpu_flags)
    flags = {**dict(plan.flags), **dict(attempt.rung.defines)}
    flags["CRIA_CPU_FLAGS"] = ";".join(filter(None, (flags.get("CRIA_CPU_FLAGS"), *usable)))
    for name in ("CMAKE_C_FLAGS", "CMAKE_CXX_FLAGS"):
        if name in flags and usable:
            flags[name] = f"{flags[name]} {' '.join(usable)}"
    return flags


def default_jobs(backends: Sequence[str]) -> int:
    """One per core, but no more than fit in memory: GPU kernels need about 3 GiB each."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return max(1, min(cores or 1, int(memory / (3 if backends else 1))))


def stage_libraries(built: Path, staging: Path, dropped_variants: Sequence[str]) -> None:
    """Copy each library under the one name that the loader asks for, without local symbols."""
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    dropped = tuple(f"libggml-cpu-{variant}." for variant in dropped_variants)
    for library in loader_names(built):
        if not library.name.startswith(dropped or "\0"):
            target = staging / library.name
            shutil.copyfile(library, target)
            target.chmod(0o755)
            output_of("strip", "-x" if sys.platform == "darwin" else "--strip-unneeded", target)


def loader_names(built: Path) -> list[Path]:
    """Of libx.so -> libx.so.0 -> libx.so.0.25.3 the middle one, its SONAME; else libx.so."""
    groups: dict[Path, list[Path]] = {}
    for path in sorted(built.glob("lib*")):
        if re.search(r"\.(so|dylib)\b", path.name):
            groups.setdefault(path.resolve(), []).append(path)
    soname = re.compile(r"lib[^.]+(\.so\.\d+|\.\d+\.dylib)")
    return [next((p for p in g if soname.fullmatch(p.name)), g[0]) for g in groups.values()]


def built_backends(staging: Path) -> list[str]:
    names = (re.match(r"libggml-([a-z]+)", path.name) for path in staging.iterdir())
    return sorted({name[1] for name in names if name} - {"base"})


def probe_layout(probe: Path, target: Path) -> None:
    text = output_of(probe)
    try:
        json.loads(text)
    except ValueError:
        raise BuildError(f"the layout probe {probe} gives no answer: try --clean.") from None
    target.write_text(text)


def run_check(staging: Path, folder: Path, log: Path) -> CheckResult:
    """Load, tokenise and decode in a child: a crash there is an answer, not our end."""
    model, vocab = folder / "tiny.gguf", folder / "vocab.gguf"
    tiny_model = load_tiny_model()
    tiny_model.write_tiny_model(model)
    tiny_model.write_tiny_vocab(vocab)
    command = [sys.executable, "-m", "cria.native.self_check", "--lib", str(staging)]
    command += ["--model", str(model), "--vocab", str(vocab)]
    env = {name: value for name, value in os.environ.items() if name != "CRIA_LIBLLAMA"}
    env.update(GGML_NO_BACKTRACE="1", PYTHONDONTWRITEBYTECODE="1", PYTHONPATH=str(ROOT))
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=env, timeout=CHECK_SECONDS, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise BuildError(f"the check took longer than {CHECK_SECONDS} s: see {log}.") from None
    with log.open("a") as file:
        file.write(f"\n$ {shlex.join(command)}\n{done.stdout}{done.stderr}")
        file.write(f"exit code {done.returncode}\n")
    return CheckResult(done.returncode, done.stdout or done.stderr)


def load_tiny_model() -> Any:
    """Loaded by its path: importing the package may need what is not installed yet."""
    file = ROOT / "cria" / "native" / "tiny_model.py"
    spec = importlib.util.spec_from_file_location("cria_tiny_model", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


# --- BUILD_INFO.json, installation --------------------------------------------------------------


def describe(plan: Plan, attempt: Attempt, flags: Mapping[str, str]) -> dict[str, Any]:
    toolchain = attempt.toolchain
    return {
        "commit": plan.source.commit,
        "source": plan.source.origin,
        "compiler": {"cc": toolchain.cc, "cxx": toolchain.cxx, "version": toolchain.version},
        "cuda_archs": list(plan.backends.cuda_archs),
        "cpu": cpu_identity()[0],
        "features": cpu_features(toolchain, flags),
        "rung": attempt.rung.name,
        "notes": [*plan.options.notes, *plan.backends.notes],
        "flags": dict(flags),
        "llama_h_sha256": sha256_of(plan.source.tree / "include" / "llama.h"),
        "built_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "key": plan.key,
    }


def write_info(folder: Path, info: Mapping[str, Any]) -> None:
    (folder / "BUILD_INFO.json").write_text(json.dumps(info, indent=2) + "\n")


def read_info(lib: Path) -> dict[str, Any]:
    try:
        info = json.loads((lib / "BUILD_INFO.json").read_text())
    except (OSError, ValueError):
        return {}
    return info if isinstance(info, dict) else {}


def file_sizes(lib: Path) -> dict[str, int]:
    files = sorted(path for path in lib.iterdir() if path.name != "BUILD_INFO.json")
    return {path.name: path.stat().st_size for path in files if path.is_file()}


def is_current(lib: Path, key: str) -> bool:
    """The same key, and every file still there as it was made."""
    info = read_info(lib)
    return info.get("key") == key and info.get("files") == file_sizes(lib)


def install(staging: Path, lib: Path) -> None:
    """Two renames; if the second fails, or we are killed before it, `recover` undoes the first."""
    previous = lib.with_name("lib.old")
    shutil.rmtree(previous, ignore_errors=True)
    if lib.exists():
        lib.rename(previous)
    try:
        staging.rename(lib)
    finally:
        recover(lib)
    shutil.rmtree(previous, ignore_errors=True)


def recover(lib: Path) -> None:
    previous = lib.with_name("lib.old")
    if previous.exists() and not lib.exists():
        previous.rename(lib)


# --- The run ------------------------------------------------------------------------------------


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """One build at a time, for they share source and build trees; freed by the kernel if we die."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "build.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another build is at work; waiting for it to end", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def check_disk(options: Options, folder: Path) -> None:
    need = max(DISK_GIB[name] for name in ("cpu", *options.backends))
    free = shutil.disk_usage(folder).free / 2**30
    if free < need:
        has = f"{folder} has {free:.1f} GiB free and this build needs about {need:g}"
        raise BuildError(f"{has}: free some space, or set XDG_CACHE_HOME to a larger disk.")


def clean(cache: Path) -> None:
    sources = [path for path in (cache / "source").glob("*") if path.name != "download"]
    for folder in (cache / "build", *sources):
        shutil.rmtree(folder, ignore_errors=True)


def prune(folder: Path, keep: int) -> None:
    """Remove all but the newest entries."""
    entries = sorted(folder.glob("*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for entry in entries[keep:]:
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def build(options: Options) -> int:
    logs = cache_dir() / "log"
    logs.mkdir(parents=True, exist_ok=True)
    name = time.strftime("build-%Y%m%d-%H%M%S")
    console = Console(logs / f"{name}-{os.getpid()}.log", options.verbose)
    try:
        return build_if_needed(options, console)
    finally:
        console.end_line()


def build_if_needed(options: Options, console: Console) -> int:
    for note in options.notes:
        console.say(f"note: {note}")
    # A branch has to be looked up first, which is not done while another build may be at it.
    if not options.clean and not options.git_ref:
        if report_current(make_plan(options, find_source(options, console)), console):
            return 0
    with exclusive(cache_dir()):
        build_alone(options, console)
        prune(cache_dir() / "log", 10)
        prune(cache_dir() / "build", 3)
    return 0


def report_current(plan: Plan, console: Console) -> bool:
    current = is_current(LIB, plan.key)
    if current:
        console.say(f"up to date: llama.cpp {plan.source.commit} in {LIB} (--info says more)")
    return current


def build_alone(options: Options, console: Console) -> None:
    recover(LIB)
    for litter in LIB.parent.glob("lib.new-*"):
        shutil.rmtree(litter, ignore_errors=True)
    if options.clean:
        clean(cache_dir())
    check_disk(options, cache_dir())
    console.say(f"full log: {console.log}")
    console.step(1, "compiler and build tools")
    find_toolchains(os.environ)
    tools = find_build_tools(console)
    console.step(2, "llama.cpp source")
    source = find_source(options, console)
    plan = make_plan(options, source)
    if not options.clean and report_current(plan, console):
        return
    if not options.source and not options.git_ref:
        fetch_locked(read_lock(NATIVE / "llama.lock"), source.tree, console)
    if not options.clean:
        plan = replace(plan, attempts=skip_crashed(plan.attempts, read_info(LIB)))
    staging = Path(tempfile.mkdtemp(prefix="lib.new-", dir=LIB.parent))
    try:
        build_into(Builder(plan, tools, console, staging))
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def build_into(builder: Builder) -> None:
    plan, console, staging = builder.plan, builder.console, builder.staging
    for note in plan.backends.notes:
        console.say(f"      note: {note}")
    attempt, result, fallbacks = climb_down(plan.attempts, builder.build_and_check, console.say)
    console.step(6, "install")
    before = read_info(LIB)
    info = read_info(staging)
    remembered = before.get("fallbacks", []) if before.get("rung") == attempt.rung.name else []
    info["fallbacks"] = fallbacks or remembered
    info["check"] = result.reason
    info["files"] = file_sizes(staging)
    write_info(staging, info)
    install(staging, LIB)
    for note in fallbacks:
        console.say(f"      note: {note}")
    made = f"llama.cpp {plan.source.commit} ({', '.join(info['backends'])}; {attempt.rung.name})"
    console.say(f"built {made} into {LIB} in {console.elapsed}")


def print_info(lib: Path) -> int:
    info = read_info(lib)
    if not info:
        raise BuildError(f"{lib} holds no build: run python build_native.py.")
    for name, value in info.items():
        if isinstance(value, dict):
            print(f"{name}:", *(f"  {key} = {item}" for key, item in value.items()), sep="\n")
        else:
            print(f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
    return 0


def explain(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full: free some space, or set XDG_CACHE_HOME to a larger disk."
    return f"{error.strerror or error}: {error.filename or 'no file is named'}."


def interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        options = parse_options(argv, os.environ)
        return print_info(LIB) if options.info else build(options)
    except BuildError as error:
        tail = "".join(f"  | {line}\n" for line in error.tail)
        print(f"{tail}build_native.py: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"build_native.py: {explain(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("build_native.py: interrupted; what was installed is untouched.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
