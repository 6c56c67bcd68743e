#!/usr/bin/env python3
"""Fetch llama.cpp, build it, prove that it works, install it into ``cria/native/lib/``.

Runs on a bare Python 3.10+, before anything is pip-installed: standard library only, and it never imports cria.
Three rules hold throughout:

1. What is installed has passed its check. Everything is made beside the old libraries and swapped in at the end.
2. Every failure that a user can cause or repair is a ``BuildError``: one sentence that says what, why and how to
   repair it, never a traceback.
3. What is built is a function of the options, the sources, the compiler and the CPU. Their hash, the key in
   ``BUILD_INFO.json``, is what makes a second run a no-op.
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
GIB = 1 << 30

# What each missing piece is called, what needs it, and how it is installed.
MISSING = {
    "compiler": (
        "a C++ compiler",
        "llama.cpp is compiled on this machine",
        "sudo apt install build-essential",
        "sudo dnf install gcc-c++",
        "xcode-select --install",
    ),
    "cmake": (
        "cmake 3.18 or newer",
        "it configures the build, and pip could not fetch it as a wheel either",
        "sudo apt install cmake",
        "sudo dnf install cmake",
        "brew install cmake",
    ),
    "ninja": (
        "ninja",
        "it runs the build, and pip could not fetch it as a wheel either",
        "sudo apt install ninja-build",
        "sudo dnf install ninja-build",
        "brew install ninja",
    ),
    "pip": (
        "pip",
        "it fetches the llama.cpp source (or name a source tree with --source)",
        "sudo apt install python3-pip, or python -m ensurepip in a virtual environment",
        "sudo dnf install python3-pip",
        "python3 -m ensurepip",
    ),
    "git": (
        "git",
        "--git-ref clones llama.cpp",
        "sudo apt install git",
        "sudo dnf install git",
        "xcode-select --install",
    ),
    "nvcc": (
        "the CUDA compiler nvcc",
        "a CUDA build compiles GPU kernels",
        "sudo apt install nvidia-cuda-toolkit",
        "sudo dnf install cuda-toolkit (from NVIDIA's repository)",
        "not available, use --metal",
    ),
    "cublas": (
        "cuBLAS (the library and its headers)",
        "llama.cpp's CUDA backend links against it",
        "sudo apt install libcublas-dev-13-0 (your toolkit's version), or nvidia-cuda-toolkit",
        "sudo dnf install libcublas-devel-13-0 (your toolkit's version)",
        "not available, use --metal",
    ),
    "hip": (
        "the ROCm compiler hipcc",
        "a HIP build compiles GPU kernels",
        "sudo apt install hipcc libhipblas-dev librocblas-dev",
        "sudo dnf install hipcc hipblas-devel rocblas-devel",
        "not available, use --metal",
    ),
    "vulkan": (
        "the Vulkan headers, the shader compiler glslc or the SPIR-V headers",
        "a Vulkan build compiles shaders",
        "sudo apt install libvulkan-dev glslc spirv-headers",
        "sudo dnf install vulkan-devel glslc spirv-headers-devel",
        "brew install vulkan-loader vulkan-headers shaderc spirv-headers",
    ),
}

# A line of a failed configure or compile step, and what it means. A name in MISSING, or a whole sentence.
KNOWN_FAILURES = (
    (r"CUDA::cublas|cublas_v2\.h.*No such file", "cublas"),
    (r"Could NOT find Vulkan|SPIRV-Headers|vulkan/vulkan.*No such file", "vulkan"),
    (r'Could not find a package configuration file provided by "(hip|hipblas|rocblas)"', "hip"),
    (r"No space left on device", "the disk is full: free some space, or set XDG_CACHE_HOME to a larger disk"),
    (r"Killed signal terminated program", "the compiler ran out of memory: try again with --jobs 1"),
    (r"unsupported GNU version|unsupported clang version",
     "this CUDA toolkit does not work with this C++ compiler: install an older g++ and set CC and CXX to it"),
    (r"abi_probe\.c.*error:",
     "this llama.cpp tree has another C interface than Cria's bindings: use the tree that native/llama.lock pins"),
    (r"CMAKE_CXX_COMPILER.*is not able to compile", "the C++ compiler cannot compile a simple program: see the log"),
)

# First and last CUDA toolkit that compiles for a compute capability; no last one: still supported.
CUDA_ARCHS: dict[int, tuple[tuple[int, int], tuple[int, int] | None]] = {
    35: ((5, 0), (11, 8)), 37: ((6, 5), (11, 8)), 50: ((6, 0), (12, 9)), 52: ((6, 5), (12, 9)),
    53: ((7, 0), (12, 9)), 60: ((8, 0), (12, 9)), 61: ((8, 0), (12, 9)), 62: ((8, 0), (12, 9)),
    70: ((9, 0), (12, 9)), 72: ((9, 2), (12, 9)), 75: ((10, 0), None), 80: ((11, 0), None),
    86: ((11, 1), None), 87: ((11, 4), None), 88: ((13, 0), None), 89: ((11, 8), None),
    90: ((11, 8), None), 100: ((12, 8), None), 101: ((12, 8), (12, 9)), 103: ((12, 9), None),
    110: ((13, 0), None), 120: ((12, 8), None), 121: ((12, 9), None),
}  # fmt: skip

BACKENDS = {"cuda": "GGML_CUDA", "vulkan": "GGML_VULKAN", "hip": "GGML_HIP", "metal": "GGML_METAL"}
DISK_GIB = {"cpu": 1.5, "cuda": 6.0, "hip": 6.0, "vulkan": 2.5, "metal": 1.5}

# Upstream renamed its options from LLAMA_* to GGML_*; people's notes and scripts still have the old names.
RENAMED = {"LLAMA_CUBLAS": "GGML_CUDA", "LLAMA_HIPBLAS": "GGML_HIP"}
RENAMED_FAMILIES = re.compile(
    r"LLAMA_(CUDA|METAL|VULKAN|HIP|SYCL|CANN|RPC|NATIVE|BLAS|AVX|AVX2|AVX512|FMA|F16C|SSE42|BMI2|AMX|ACCELERATE|"
    r"LTO|CCACHE|OPENMP|LLAMAFILE|CPU|SCHED|KOMPUTE|LASX|LSX)(_\w+)?"
)
DROPPED = {"LLAMA_CUDA_F16", "LLAMA_CURL", "LLAMA_K_QUANTS", "LLAMA_CUDA_DMMV_X", "LLAMA_CUDA_MMV_Y",
           "LLAMA_CUDA_FORCE_DMMV", "LLAMA_CUDA_KQUANTS_ITER", "LLAMA_CUDA_PEER_MAX_BATCH_SIZE"}  # fmt: skip
SHARED_ONLY = {"BUILD_SHARED_LIBS": False, "LLAMA_STATIC": True, "GGML_STATIC": True}

CRASHES = {signal.SIGILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE}
CHECK_SECONDS = 180
LOG_TAIL = 30


class BuildError(Exception):
    """What the user is told, in one sentence; ``tail`` is printed before it."""

    def __init__(self, sentence: str, tail: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.tail = tuple(tail)


def missing(piece: str) -> BuildError:
    what, why, debian, fedora, macos = MISSING[piece]
    return BuildError(
        f"{what} is missing: {why}. Debian/Ubuntu: {debian}; Fedora: {fedora}; macOS: {macos}."
    )


# --- The steps of the ladder: data, tried from the top until a build survives its check ------------------------------


@dataclass(frozen=True)
class Rung:
    """One choice of CPU features. ``feature``: only worth trying if the CPU advertises one that begins so."""

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
AVX512_VARIANTS = ("skylakex", "cannonlake", "cascadelake", "icelake", "cooperlake", "zen4")

LADDERS = {
    "x86": (
        Rung("every CPU feature"),
        Rung("no AMX", "amx", NO_AMX),
        Rung("no AMX, no AVX-512", "avx512", NO_AVX512),
        Rung("AVX2 baseline", "avx2", NO_AVX512, AVX2),
        Rung("plain x86-64", "", NO_AVX512, PLAIN),
    ),
    "other": (
        Rung("every CPU feature"),
        Rung("the architecture's baseline", "", (), (("GGML_NATIVE", "OFF"),)),
    ),
    "portable": (
        Rung("every CPU variant"),
        Rung("no AMX variant", "amx", dropped_variants=("sapphirerapids",)),
        Rung("no AVX-512 variant", "avx512", dropped_variants=("sapphirerapids", *AVX512_VARIANTS)),
    ),
}

# What the compiler defines for a CPU feature, for BUILD_INFO.json.
FEATURE_MACROS = re.compile(
    r"#define __(SSE4_2|AVX|AVX2|FMA|F16C|BMI2|AVXVNNI|AVX512(?:F|CD|BW|DQ|VL|VNNI|VBMI|BF16|FP16)|"
    r"AMX_(?:TILE|INT8|BF16)|ARM_FEATURE_(?:DOTPROD|MATMUL_INT8|SVE\w*|SME|FP16_VECTOR_ARITHMETIC))__ "
)


# --- Options ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Options:
    """What the user asked for, already translated and checked."""

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


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="build_native.py",
        allow_abbrev=False,
        description="Build llama.cpp and Cria's own native library into cria/native/lib/.",
    )
    tree = made.add_mutually_exclusive_group()
    tree.add_argument("--source", metavar="DIR", type=Path, help="build this llama.cpp tree")
    tree.add_argument("--git-ref", metavar="REF", help="clone upstream at this tag, branch or commit")
    made.add_argument(
        "--cuda-arch", metavar="ARCH", action="append", default=[],
        help="build for NVIDIA GPUs of exactly these compute capabilities: 75, sm_75, 7.5, '75;86', native",
    )  # fmt: skip
    for backend in ("vulkan", "hip", "metal"):
        made.add_argument(f"--{backend}", action="store_true", help=f"build the {backend} backend")
    made.add_argument("--portable", action="store_true", help="every CPU variant, chosen at run time")
    made.add_argument("-D", metavar="NAME=VALUE", dest="defines", action="append", default=[],
                      help="a CMake option; old LLAMA_* names are translated")  # fmt: skip
    made.add_argument("--clean", action="store_true", help="forget the build and source trees first")
    made.add_argument("-j", "--jobs", type=int, default=0, metavar="N", help="compile N files at a time")
    made.add_argument("-v", "--verbose", action="store_true", help="show the output of every command")
    made.add_argument("--info", action="store_true", help="say what is installed, and stop")
    return made


def parse_options(argv: Sequence[str] | None, env: Mapping[str, str]) -> Options:
    args = parser().parse_args(argv)
    if args.jobs < 0:
        raise BuildError(f"--jobs {args.jobs} is not a number of jobs: give 1 or more.")
    defines, notes = translate_defines(args.defines)
    wanted = [name for name in ("vulkan", "hip", "metal") if getattr(args, name)]
    if args.cuda_arch or is_on(env.get("LLAMA_CUBLAS", "OFF"), "LLAMA_CUBLAS"):
        wanted.append("cuda")
    backends = select_backends(wanted, defines)
    archs = parse_cuda_archs(args.cuda_arch)
    if "cuda" in backends and not archs and "CMAKE_CUDA_ARCHITECTURES" not in defines:
        archs = ("native",)
    if args.portable and "metal" not in backends and defines.get("GGML_NATIVE", "OFF") != "OFF":
        raise BuildError("--portable and -D GGML_NATIVE=ON contradict each other: choose one.")
    rest = tuple((name, value) for name, value in defines.items() if name not in BACKENDS.values())
    return Options(args.source, args.git_ref, backends, archs, rest, args.portable, args.clean,
                   args.jobs, args.verbose, args.info, tuple(notes))  # fmt: skip


def is_on(value: str, name: str) -> bool:
    """CMake's idea of true and false, minus its habit of taking any other word for false."""
    word = value.strip().upper()
    if word in ("1", "ON", "YES", "TRUE", "Y"):
        return True
    if word in ("", "0", "OFF", "NO", "FALSE", "N"):
        return False
    raise BuildError(f"{name}={value} is neither on nor off: give ON or OFF.")


def translate_defines(texts: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    defines: dict[str, str] = {}
    notes: list[str] = []
    for text in texts:
        match = re.fullmatch(r"([A-Za-z_]\w*)(?::[A-Z]+)?=(.*)", text, re.DOTALL)
        if not match:
            raise BuildError(f"-D {text} is not of the form NAME=VALUE.")
        name, value = match.groups()
        if name in DROPPED:
            notes.append(f"{name} no longer exists in llama.cpp and is left out")
            continue
        if name in SHARED_ONLY and is_on(value, name) == SHARED_ONLY[name]:
            raise BuildError(f"-D {text} cannot be: Cria loads llama.cpp as shared libraries.")
        new_name = translate_name(name)
        if new_name != name:
            notes.append(f"{name} is called {new_name} now")
        defines[new_name] = value
    return defines, notes


def translate_name(name: str) -> str:
    if name in RENAMED:
        return RENAMED[name]
    return "GGML_" + name[len("LLAMA_") :] if RENAMED_FAMILIES.fullmatch(name) else name


def select_backends(wanted: Iterable[str], defines: Mapping[str, str]) -> tuple[str, ...]:
    """The flags and the -D switches say the same things; they may not contradict each other."""
    chosen = set(wanted)
    for backend, switch in BACKENDS.items():
        if switch not in defines:
            continue
        if is_on(defines[switch], switch):
            chosen.add(backend)
        elif backend in chosen:
            raise BuildError(f"-D {switch}=OFF contradicts the request for a {backend} build: choose one.")
    if {"cuda", "hip"} <= chosen:
        raise BuildError("CUDA and HIP cannot be built together: choose one.")
    return tuple(sorted(chosen))


def parse_cuda_archs(texts: Iterable[str]) -> tuple[str, ...]:
    """``75``, ``sm_75``, ``compute_75``, ``7.5``, ``90a``, ``native``, lists of them; each once, in order."""
    found: dict[str, None] = {}
    for text in texts:
        words = [word for word in re.split(r"[;,\s]+", text) if word]
        if not words:
            raise BuildError("--cuda-arch is empty: give for instance 75, 86 or native.")
        found.update((parse_cuda_arch(word), None) for word in words)
    return tuple(found)


def parse_cuda_arch(word: str) -> str:
    lower = word.lower()
    if lower == "native":
        return lower
    match = re.fullmatch(r"(?:sm_?|compute_?)?([0-9]{2,3})([af]?)", lower, re.ASCII)
    dotted = re.fullmatch(r"([0-9]{1,2})\.([0-9])([af]?)", lower, re.ASCII)
    if dotted:
        number, suffix = int(dotted[1] + dotted[2]), dotted[3]
    elif match:
        number, suffix = int(match[1]), match[2]
    else:
        refuse_arch(word)
    if number not in CUDA_ARCHS or (suffix and number < (90 if suffix == "a" else 100)):
        refuse_arch(word)
    return f"{number}{suffix}"


def refuse_arch(word: str) -> NoReturn:
    known = ", ".join(map(str, CUDA_ARCHS))
    raise BuildError(f"'{word}' is not a CUDA architecture: give native or one of {known} (sm_75 and 7.5 mean 75).")


# --- Small tools ------------------------------------------------------------------------------------------------------


def cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "cria"


def output_of(*command: str | Path, env: Mapping[str, str] | None = None) -> str:
    """A short command's output, or an empty string if it cannot be run or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, check=False)
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


def own_environment() -> dict[str, str]:
    """Ours without the compiler's variables: pip must not see them, and CMake gets them spelled out."""
    hidden = {"CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "PYTHONHOME"}
    return {name: value for name, value in os.environ.items() if name not in hidden}


@dataclass
class Console:
    """Steps, progress and the log file. On a terminal the line of a step is rewritten in place."""

    log: Path
    verbose: bool = False
    started: float = field(default_factory=time.monotonic)
    shown: int = -1
    title: str = ""

    def elapsed(self) -> str:
        return duration(time.monotonic() - self.started)

    def say(self, text: str) -> None:
        self.end_line()
        print(text, flush=True)

    def step(self, number: int, title: str) -> None:
        self.say(f"[{number}/6] {title}")
        self.title, self.shown = f"[{number}/6] {title}", 0

    def percent(self, value: int) -> None:
        in_place = sys.stdout.isatty() and not self.verbose
        if value < self.shown + (1 if in_place else 20) and value != 100 or value == self.shown:
            return
        self.shown = value
        line = f"{self.title} ... {value}% {self.elapsed()}"
        print(f"\r\x1b[K{line}" if in_place else line, end="" if in_place else "\n", flush=True)

    def end_line(self) -> None:
        if self.shown > 0 and sys.stdout.isatty() and not self.verbose:
            print(flush=True)
        self.shown = -1

    def run(self, command: Sequence[str | Path], env: Mapping[str, str],
            on_line: Callable[[str], None] = lambda line: None) -> tuple[int, list[str]]:  # fmt: skip
        """Runs a long command into the log. Its whole process group ends with us, whatever ends us."""
        lines: list[str] = []
        with self.log.open("a", errors="replace") as log:
            log.write(f"\n$ {shlex.join(map(str, command))}\n")
            child = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True, errors="replace",
                                     start_new_session=True)  # fmt: skip
            assert child.stdout is not None
            try:
                for line in child.stdout:
                    lines.append(line.rstrip("\n"))
                    log.write(line)
                    on_line(line)
                    if self.verbose:
                        print(line, end="", flush=True)
                return child.wait(), lines
            finally:
                end_group(child)


def end_group(child: subprocess.Popen[str]) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def failure(step: str, lines: Sequence[str], log: Path) -> BuildError:
    """The sentence for a known cause, else where to look; with the last lines of the output either way."""
    text = "\n".join(lines)
    tail = lines[-LOG_TAIL:]
    for pattern, meaning in KNOWN_FAILURES:
        if re.search(pattern, text):
            sentence = str(missing(meaning)) if meaning in MISSING else f"{meaning}."
            return BuildError(f"{sentence} (The step '{step}' failed; full log: {log})", tail)
    return BuildError(f"The step '{step}' failed; its last lines are above, the full log is {log}.", tail)


# --- Toolchain --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Toolchain:
    cc: str
    cxx: str
    version: str
    from_environment: bool = False


def find_toolchains(env: Mapping[str, str]) -> list[Toolchain]:
    """The user's CC and CXX if set, then the system's compiler."""
    found = []
    pairs = [("cc", "c++"), ("gcc", "g++"), ("clang", "clang++")]
    system = next((pair for pair in pairs if all(map(shutil.which, pair))), None)
    if env.get("CC") or env.get("CXX"):
        default = system or ("cc", "c++")
        found.append(inspect_toolchain(env.get("CC") or default[0], env.get("CXX") or default[1], True))
    if system:
        found.append(inspect_toolchain(*system))
    if not found:
        raise missing("compiler")
    return found


def inspect_toolchain(cc: str, cxx: str, from_environment: bool = False) -> Toolchain:
    first_line = output_of(*shlex.split(cxx), "--version").partition("\n")[0].strip()
    if not first_line or not output_of(*shlex.split(cc), "--version"):
        if from_environment:
            raise BuildError(f"CC={cc} CXX={cxx} cannot be run: correct the two variables, or unset them.")
        raise missing("compiler")
    return Toolchain(cc, cxx, first_line, from_environment)


def cpu_identity() -> tuple[str, frozenset[str]]:
    """A name for this CPU and the features that it advertises (none known outside Linux)."""
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace").partition("\n\n")[0]
    except OSError:
        return f"{platform.machine()} {platform.processor()}", frozenset()
    values = dict(re.findall(r"^([^\t:]+?)\s*:\s*(.*)$", text, re.MULTILINE))
    features = values.get("flags") or values.get("Features") or ""
    return f"{platform.machine()} {values.get('model name', '')}".strip(), frozenset(features.split())


@dataclass(frozen=True)
class BuildTools:
    cmake: Path
    ninja: Path


def find_build_tools(console: Console) -> BuildTools:
    return BuildTools(
        find_or_fetch("cmake", ("cmake", "cmake3"), (3, 21), console),
        find_or_fetch("ninja", ("ninja", "ninja-build"), (1, 8), console),
    )


def find_or_fetch(package: str, names: Sequence[str], oldest: tuple[int, int], console: Console) -> Path:
    tools = cache_dir() / "tools" / package
    on_path = [Path(path) for path in map(shutil.which, names) if path]
    fetched = [tools / package / "data" / "bin" / package, tools / "bin" / package]
    for candidate in (*on_path, *fetched):
        if version_of(candidate) >= oldest:
            return candidate
    console.say(f"      fetching {package} into {tools}")
    require_pip()
    code, _ = console.run([sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--target",
                           tools, "--only-binary", ":all:", package], own_environment())  # fmt: skip
    for candidate in fetched:
        if code == 0 and version_of(candidate) >= oldest:
            return candidate
    raise missing(package)


def require_pip() -> None:
    if not output_of(sys.executable, "-m", "pip", "--version"):
        raise missing("pip")


# --- Source -----------------------------------------------------------------------------------------------------------


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
    rows = (line.partition("=") for line in path.read_text().splitlines() if not line.startswith("#"))
    values = {name.strip(): value.strip() for name, sign, value in rows if sign}
    try:
        return Lock(**{**values, "bytes": int(values["bytes"])})  # type: ignore[arg-type]  # checked by the call
    except (KeyError, TypeError, ValueError) as error:
        raise BuildError(f"{path} is damaged ({error}): restore it from version control.") from error


@dataclass(frozen=True)
class Source:
    """A llama.cpp tree. ``state`` changes whenever its content does."""

    tree: Path
    origin: str
    commit: str
    state: str


def locked_source(lock: Lock, cache: Path) -> Source:
    """Where the pinned tree is, or will be once it is fetched."""
    tree = cache / "source" / f"{lock.package}-{lock.version}-{lock.sha256[:12]}"
    return Source(tree, f"{lock.package} {lock.version}", lock.commit, lock.sha256)


def fetch_locked(lock: Lock, source: Source, console: Console) -> None:
    if source.tree.is_dir():
        return
    downloads = source.tree.parent / "download"
    downloads.mkdir(parents=True, exist_ok=True)
    archive = downloads / lock.sdist
    if not archive.is_file():
        download(lock, archive, console)
    verify(archive, lock)
    unpack(archive, lock, source.tree)


def download(lock: Lock, archive: Path, console: Console) -> None:
    require_pip()
    console.say(f"      downloading {lock.sdist} ({lock.bytes / 1e6:.0f} MB)")
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        # Naming the package for --no-binary, not ":all:": else pip compiles the build backend from source as well.
        code, lines = console.run(
            [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", lock.package,
             f"{lock.package}=={lock.version}", "-d", folder], own_environment())  # fmt: skip
        fetched = Path(folder) / lock.sdist
        if code != 0 or not fetched.is_file():
            raise download_failure(lock, archive, lines)
        verify(fetched, lock)
        fetched.replace(archive)


def download_failure(lock: Lock, archive: Path, lines: Sequence[str]) -> BuildError:
    text = "\n".join(lines)
    network = r"NewConnection|name resolution|Max retries|Connection(Error|Refused|Reset)|ProxyError|[Tt]imed out|SSLError"
    if re.search(network, text):
        return BuildError(
            f"pip could not reach its package index to fetch {lock.sdist}: connect this machine, put that file"
            f" into {archive.parent}, or name a llama.cpp tree with --source.", lines[-5:])  # fmt: skip
    return BuildError(
        f"pip could not fetch {lock.package}=={lock.version} as a source distribution: its last lines are above;"
        f" put {lock.sdist} into {archive.parent}, or name a llama.cpp tree with --source.",
        lines[-LOG_TAIL:],
    )


def verify(archive: Path, lock: Lock) -> None:
    """A wrong file is removed, so that the next run fetches it again instead of failing for ever."""
    actual = sha256_of(archive)
    if actual != lock.sha256:
        archive.unlink()
        raise BuildError(
            f"{archive.name} has the sha256 {actual}, but native/llama.lock pins {lock.sha256}: the file was"
            " damaged or replaced on its way and has been removed; run this again, or check your package index.")  # fmt: skip


def unpack(archive: Path, lock: Lock, tree: Path) -> None:
    """Only the llama.cpp part, beside its place, moved there when it is complete."""
    prefix = f"{archive.name.removesuffix('.tar.gz')}/{lock.source}"
    with tempfile.TemporaryDirectory(dir=tree.parent) as folder, tarfile.open(archive) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extraction_filter = tarfile.data_filter
        tar.extractall(folder, (m for m in tar if m.name.startswith(f"{prefix}/")))
        unpacked = Path(folder) / prefix
        if not (unpacked / "include" / "llama.h").is_file():
            raise BuildError(f"{archive.name} holds no {lock.source}: native/llama.lock names the wrong place.")
        unpacked.rename(tree)


def tree_source(folder: Path) -> Source:
    tree = folder.expanduser().resolve()
    if not (tree / "include" / "llama.h").is_file():
        tree = tree / "vendor" / "llama.cpp"
    if not (tree / "include" / "llama.h").is_file():
        raise BuildError(f"--source {folder} is no llama.cpp tree: it has no include/llama.h.")
    return Source(tree, str(tree), git_commit(tree), tree_state(tree))


def git_commit(tree: Path) -> str:
    return output_of("git", "-C", tree, "rev-parse", "--short=9", "HEAD").strip() or "unknown"


def tree_state(tree: Path) -> str:
    """Names, sizes and times of what is compiled: cheap, and changed by every edit and checkout."""
    digest = hashlib.sha256()
    for part in ("CMakeLists.txt", "cmake", "include", "src", "ggml", "tools/mtmd", "common", "vendor"):
        top = tree / part
        for path in sorted([top] if top.is_file() else top.rglob("*")):
            status = path.lstat()
            digest.update(f"{path.relative_to(tree)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def git_source(ref: str, cache: Path, console: Console) -> Source:
    """A clone per ref. Tags and commits never move, so only a branch asks the network a second time."""
    if not shutil.which("git"):
        raise missing("git")
    tree = cache / "source" / ("git-" + re.sub(r"[^\w.-]", "_", ref))
    fixed = re.fullmatch(r"[0-9a-f]{7,40}|[bv]\d[\w.]*", ref)
    if not tree.is_dir():
        clone(ref, tree, console)
    elif not fixed:
        git(console, "-C", tree, "fetch", "--quiet", "origin", ref)
        git(console, "-C", tree, "checkout", "--quiet", "--detach", "FETCH_HEAD")
    commit = git_commit(tree)
    return Source(tree, f"git {ref}", commit, output_of("git", "-C", tree, "rev-parse", "HEAD").strip())


def clone(ref: str, tree: Path, console: Console) -> None:
    tree.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tree.parent) as folder:
        fresh = Path(folder) / "clone"
        console.say(f"      cloning {UPSTREAM} at {ref}")
        git(console, "clone", "--quiet", "--filter=blob:none", "--no-checkout", UPSTREAM, fresh)
        branch = f"origin/{ref}"
        known = output_of("git", "-C", fresh, "rev-parse", "--verify", "--quiet", f"{branch}^{{commit}}")
        git(console, "-C", fresh, "checkout", "--quiet", "--detach", branch if known else ref)
        fresh.rename(tree)


def git(console: Console, *arguments: str | Path) -> None:
    code, lines = console.run(["git", *arguments], {**os.environ, "GIT_TERMINAL_PROMPT": "0"})
    if code != 0:
        raise BuildError(
            f"git could not get the llama.cpp that --git-ref names from {UPSTREAM}: check the name and the network.",
            lines[-5:])  # fmt: skip


# --- Backends: what must be there before minutes of compiling ----------------------------------------------------------


@dataclass(frozen=True)
class BackendPlan:
    """What the chosen backends add to the CMake options and to the build's environment."""

    defines: tuple[tuple[str, str], ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    cuda_archs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def plan_backends(options: Options) -> BackendPlan:
    """At most one of CUDA, HIP and Metal has something to add; Vulkan needs tools only."""
    if "vulkan" in options.backends and not shutil.which("glslc"):
        raise missing("vulkan")
    if "metal" in options.backends and sys.platform != "darwin":
        raise BuildError("--metal needs macOS: Metal is Apple's GPU interface; try --vulkan or --cuda-arch here.")
    if "cuda" in options.backends:
        return plan_cuda(options)
    return plan_hip() if "hip" in options.backends else BackendPlan()


def plan_cuda(options: Options) -> BackendPlan:
    nvcc = find_nvcc()
    match = re.search(r"release (\d+)\.(\d+)", output_of(nvcc, "--version"))
    if not match:
        raise BuildError(f"{nvcc} does not say its version: the CUDA toolkit there is damaged; install it again.")
    archs = resolve_native(options.cuda_archs)
    check_cuda_archs(archs, (int(match[1]), int(match[2])))
    defines = [("CMAKE_CUDA_COMPILER", str(nvcc)), ("CMAKE_INSTALL_RPATH_USE_LINK_PATH", "ON")]
    if archs:
        # "-real": machine code for these and no PTX, which would be compiled at every first start elsewhere.
        defines.append(("CMAKE_CUDA_ARCHITECTURES", ";".join(f"{arch}-real" for arch in archs)))
    notes = ()
    if not has_nvidia_driver():
        defines.append(("GGML_CUDA_NO_VMM", "ON"))
        notes = ("no NVIDIA driver here: built without CUDA's virtual memory pool, so that it loads without one",)
    return BackendPlan(tuple(defines), (), archs, notes)


def find_nvcc() -> Path:
    homes = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")]
    candidates = [os.environ.get("CUDACXX"), *(f"{home}/bin/nvcc" for home in homes if home),
                  shutil.which("nvcc"), "/usr/local/cuda/bin/nvcc", "/opt/cuda/bin/nvcc"]  # fmt: skip
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            return Path(candidate)
    raise missing("nvcc")


def resolve_native(archs: Sequence[str]) -> tuple[str, ...]:
    """``native`` becomes what nvidia-smi says, so that both spellings are one build."""
    if "native" not in archs:
        return tuple(archs)
    answer = output_of("nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader")
    found = [line.strip() for line in answer.splitlines() if re.fullmatch(r"\d+\.\d", line.strip())]
    if not found:
        raise BuildError(
            "no NVIDIA GPU is visible (nvidia-smi lists none), so the machine's own architecture is unknown:"
            " name it, for instance --cuda-arch 75.")  # fmt: skip
    return parse_cuda_archs([*(arch for arch in archs if arch != "native"), *found])


def check_cuda_archs(archs: Iterable[str], toolkit: tuple[int, int]) -> None:
    version = "{}.{}".format(*toolkit)
    for arch in archs:
        first, last = CUDA_ARCHS[int(arch.rstrip("af"))]
        if toolkit < first:
            raise BuildError(f"CUDA {version} is too old for architecture {arch}: it needs {first[0]}.{first[1]} or newer.")
        if last and toolkit > last:
            raise BuildError(f"CUDA {version} is too new for architecture {arch}: the last toolkit for it is"
                             f" {last[0]}.{last[1]}.")  # fmt: skip


def has_nvidia_driver() -> bool:
    if "libcuda.so.1" in output_of("ldconfig", "-p") or "libcuda.so.1" in output_of("/sbin/ldconfig", "-p"):
        return True
    folders = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    return any((Path(folder) / "libcuda.so.1").exists() for folder in folders if folder)


def plan_hip() -> BackendPlan:
    hipconfig = shutil.which("hipconfig") or shutil.which("/opt/rocm/bin/hipconfig")
    if not hipconfig or not (shutil.which("hipcc") or shutil.which("/opt/rocm/bin/hipcc")):
        raise missing("hip")
    clang = f"{output_of(hipconfig, '-l').strip()}/clang"
    return BackendPlan(env=(("HIPCXX", clang), ("HIP_PATH", output_of(hipconfig, "-R").strip())))


# --- What to build ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Attempt:
    toolchain: Toolchain
    rung: Rung

    def __str__(self) -> str:
        return f"{self.rung.name}, {self.toolchain.cxx} ({self.toolchain.version})"


@dataclass(frozen=True)
class Plan:
    """Everything that is known before the first file is compiled."""

    options: Options
    source: Source
    backends: BackendPlan
    attempts: tuple[Attempt, ...]
    flags: tuple[tuple[str, str], ...]
    key: str


def cmake_flags(options: Options, source: Source, backends: BackendPlan, env: Mapping[str, str]) -> dict[str, str]:
    off = ("LLAMA_BUILD_SERVER", "LLAMA_BUILD_TESTS", "LLAMA_BUILD_EXAMPLES", "LLAMA_BUILD_APP", "LLAMA_BUILD_UI",
           "LLAMA_OPENSSL", "LLAMA_CURL")  # fmt: skip
    on = ("BUILD_SHARED_LIBS", "LLAMA_BUILD_COMMON", "LLAMA_BUILD_TOOLS", "GGML_RPC", "CMAKE_BUILD_WITH_INSTALL_RPATH")
    flags = {"CMAKE_BUILD_TYPE": "Release", **dict.fromkeys(on, "ON"), **dict.fromkeys(off, "OFF")}
    flags["CMAKE_INSTALL_RPATH"] = "@loader_path" if sys.platform == "darwin" else "$ORIGIN"
    flags["LLAMA_CPP_DIR"], flags["LLAMA_BUILD_COMMIT"] = str(source.tree), source.commit
    flags["LLAMA_BUILD_NUMBER"] = "0"
    flags["GGML_NATIVE"] = "OFF" if options.portable else "ON"
    flags["GGML_BACKEND_DL"] = flags["GGML_CPU_ALL_VARIANTS"] = "ON" if options.portable else "OFF"
    flags.update((switch, "ON" if name in options.backends else "OFF") for name, switch in BACKENDS.items())
    for name, variable in (("CMAKE_C_FLAGS", "CFLAGS"), ("CMAKE_CXX_FLAGS", "CXXFLAGS")):
        if env.get(variable):
            flags[name] = env[variable]
    return {**flags, **dict(backends.defines), **dict(options.defines)}


def attempt_flags(plan: Plan, rung: Rung, usable: tuple[str, ...]) -> dict[str, str]:
    """A user's own compiler flags reach every file, so there the exclusions must follow them everywhere."""
    flags = {**dict(plan.flags), **dict(rung.defines), "CRIA_CPU_FLAGS": ";".join(usable)}
    for name in ("CMAKE_C_FLAGS", "CMAKE_CXX_FLAGS"):
        if name in flags and usable:
            flags[name] = f"{flags[name]} {' '.join(usable)}"
    return flags


def list_attempts(toolchains: Sequence[Toolchain], ladder: Sequence[Rung], features: frozenset[str]) -> list[Attempt]:
    """The user's compiler gets one try with everything; if that crashes, the system's goes down the ladder."""
    rungs = [r for r in ladder if not (r.feature and features) or any(f.startswith(r.feature) for f in features)]
    first = [Attempt(toolchains[0], rungs[0])] if len(toolchains) > 1 else []
    return [*first, *(Attempt(toolchains[-1], rung) for rung in rungs)]


def ladder_name(options: Options) -> str:
    if options.portable:
        return "portable"
    return "x86" if platform.machine().lower() in ("x86_64", "amd64", "i686") else "other"


def make_plan(options: Options, source: Source) -> Plan:
    toolchains = find_toolchains(os.environ)
    backends = plan_backends(options)
    cpu, features = cpu_identity()
    flags = cmake_flags(options, source, backends, os.environ)
    identity = [
        flags, source.origin, source.state, [str(t) for t in toolchains],
        "" if options.portable else [cpu, sorted(features)], os.environ.get("LDFLAGS", ""),
        backends.env, [sha256_of(path) for path in sorted(NATIVE.iterdir()) if path.is_file()],
    ]  # fmt: skip
    key = hashlib.sha256(json.dumps(identity, default=str).encode()).hexdigest()
    attempts = list_attempts(toolchains, LADDERS[ladder_name(options)], features)
    return Plan(options, source, backends, tuple(attempts), tuple(flags.items()), key)


# --- Build, check, install --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CheckResult:
    returncode: int
    output: str

    @property
    def crash(self) -> str:
        """The signal that ended the child, if it is one that a forbidden CPU instruction leads to."""
        return signal.Signals(-self.returncode).name if -self.returncode in CRASHES else ""

    @property
    def last_line(self) -> str:
        return next((line for line in reversed(self.output.splitlines()) if line.strip()), "no output")


def climb_down(attempts: Sequence[Attempt], build_and_check: Callable[[Attempt], CheckResult],
               say: Callable[[str], None]) -> tuple[Attempt, CheckResult, list[str]]:  # fmt: skip
    """Tries one attempt after the other while the check dies of a crash; any other refusal is final."""
    notes: list[str] = []
    for index, attempt in enumerate(attempts):
        result = build_and_check(attempt)
        if result.returncode == 0:
            return attempt, result, notes
        if not result.crash:
            raise BuildError(f"the libraries were built but failed their check: {result.last_line}")
        notes.append(f"{attempt}: the check died of {result.crash}")
        if index + 1 < len(attempts):
            say(f"      {notes[-1]}; building again: {attempts[index + 1]}")
    raise BuildError(
        "the libraries crash on this machine however they are built (" + "; ".join(notes) + "): please report this"
        " with the log, and try --portable.")  # fmt: skip


@dataclass(frozen=True)
class Builder:
    plan: Plan
    tools: BuildTools
    console: Console
    staging: Path

    def build_and_check(self, attempt: Attempt) -> CheckResult:
        started = time.monotonic()
        usable = supported_flags(attempt.toolchain, attempt.rung.cpu_flags)
        flags = attempt_flags(self.plan, attempt.rung, usable)
        folder = self.compile(attempt.toolchain, flags)
        self.console.step(5, "check")
        stage_libraries(folder / "bin", self.staging, attempt.rung.dropped_variants)
        probe_layout(folder / "bin" / "abi_probe", self.staging / "layout.json")
        info = describe(self.plan, attempt, flags)
        info["build_seconds"] = round(time.monotonic() - started, 1)
        write_json(self.staging / "BUILD_INFO.json", info)
        return run_check(self.staging, folder / "tiny.gguf", self.console.log)

    def compile(self, toolchain: Toolchain, flags: Mapping[str, str]) -> Path:
        """One folder per compiler and set of options; the rungs of the ladder share it."""
        name = hashlib.sha256(repr((self.plan.flags, toolchain)).encode()).hexdigest()[:12]
        folder = cache_dir() / "build" / name
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        env = {**own_environment(), "CC": toolchain.cc, "CXX": toolchain.cxx, **dict(self.plan.backends.env),
               "NINJA_STATUS": "[%f/%t] "}  # fmt: skip
        self.console.step(3, "configure")
        configure = [self.tools.cmake, "-S", NATIVE, "-B", folder, "-G", "Ninja",
                     f"-DCMAKE_MAKE_PROGRAM={self.tools.ninja}", *(f"-D{n}={v}" for n, v in flags.items())]  # fmt: skip
        code, lines = self.console.run(configure, env)
        if code != 0:
            shutil.rmtree(folder, ignore_errors=True)
            raise failure("configure", lines, self.console.log)
        self.report_unused(lines)
        self.console.step(4, "compile")
        jobs = ["-j", str(self.plan.options.jobs)] if self.plan.options.jobs else []
        code, lines = self.console.run([self.tools.ninja, "-C", folder, *jobs, "cria"], env, self.on_ninja_line)
        if code != 0:
            raise failure("compile", lines, self.console.log)
        return folder

    def on_ninja_line(self, line: str) -> None:
        if match := re.match(r"\[(\d+)/(\d+)\]", line):
            self.console.percent(100 * int(match[1]) // int(match[2]))

    def report_unused(self, lines: Sequence[str]) -> None:
        """An option of the user's that this llama.cpp does not know must not vanish in silence."""
        _, _, unused = "\n".join(lines).partition("Manually-specified variables were not used by the project:")
        for name, _ in self.plan.options.defines:
            if re.search(rf"^\s+{re.escape(name)}$", unused, re.MULTILINE):
                self.console.say(f"      note: this llama.cpp has no option {name}; it had no effect")


def supported_flags(toolchain: Toolchain, flags: Sequence[str]) -> tuple[str, ...]:
    """An old compiler neither emits the newest instructions nor knows the option that forbids them."""
    probe = [*shlex.split(toolchain.cxx), "-Werror", "-dM", "-E", "-x", "c++", "/dev/null"]
    return tuple(flag for flag in flags if output_of(*probe, flag))


def cpu_features(toolchain: Toolchain, flags: Mapping[str, str]) -> list[str]:
    """What the compiler may use for the CPU backend, asked of the compiler itself."""
    if flags.get("GGML_CPU_ALL_VARIANTS") == "ON":
        return ["chosen at run time"]
    march = "-march=native" if ladder_name(Options()) == "x86" else "-mcpu=native"
    chosen = [march] if flags["GGML_NATIVE"] == "ON" else [
        "-m" + name[len("GGML_") :].lower().replace("sse42", "sse4.2")
        for name in X86_SWITCHES if flags.get(name) == "ON"
    ]  # fmt: skip
    own = [*shlex.split(flags.get("CMAKE_CXX_FLAGS", "")), *chosen, *flags["CRIA_CPU_FLAGS"].split(";")]
    macros = output_of(*shlex.split(toolchain.cxx), *filter(None, own), "-dM", "-E", "-x", "c++", "/dev/null")
    return sorted(match[1] for match in FEATURE_MACROS.finditer(macros))


def stage_libraries(built: Path, staging: Path, dropped_variants: Sequence[str]) -> None:
    """Copies each library under the one name that the loader asks for, stripped of symbols nobody needs."""
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    for library in loader_names(built):
        if any(library.name.startswith(f"libggml-cpu-{variant}.") for variant in dropped_variants):
            continue
        target = staging / library.name
        shutil.copyfile(library, target)
        target.chmod(0o755)
        output_of("strip", "-x" if sys.platform == "darwin" else "--strip-unneeded", target)


def loader_names(built: Path) -> list[Path]:
    """Of libx.so -> libx.so.0 -> libx.so.0.25.3 the middle one (the SONAME); of a plain libx.so itself."""
    groups: dict[Path, list[Path]] = {}
    for path in sorted(built.iterdir()):
        if re.fullmatch(r"lib[\w+-]+(\.\d+)*\.(so|dylib)(\.\d+)*", path.name):
            groups.setdefault(path.resolve(), []).append(path)
    soname = re.compile(r"lib[^.]+(\.so\.\d+|\.\d+\.dylib)")
    return [next((p for p in group if soname.fullmatch(p.name)), group[0]) for group in groups.values()]


def probe_layout(probe: Path, target: Path) -> None:
    text = output_of(probe)
    try:
        json.loads(text)
    except ValueError as error:
        raise BuildError(f"the layout probe {probe} gave no answer: remove its folder and build again.") from error
    target.write_text(text)


def run_check(staging: Path, model: Path, log: Path) -> CheckResult:
    """Loads the libraries and decodes with a tiny model, in a child: a crash there is an answer, not our end."""
    write_tiny_model(model)
    command = [sys.executable, "-m", "cria.native.self_check", "--lib", staging, "--model", model]
    env = {**os.environ, "GGML_NO_BACKTRACE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, errors="replace",
                              timeout=CHECK_SECONDS, check=False)  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"the check of the new libraries did not end within {CHECK_SECONDS} seconds.") from error
    with log.open("a") as file:
        file.write(f"\n$ {shlex.join(map(str, command))}\n{done.stdout}{done.stderr}exit {done.returncode}\n")
    return CheckResult(done.returncode, done.stdout if done.returncode == 0 else done.stdout + done.stderr)


def write_tiny_model(path: Path) -> None:
    """Loads the generator by its path: importing the package would need what is not installed yet."""
    spec = importlib.util.spec_from_file_location("tiny_model", ROOT / "cria" / "native" / "tiny_model.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    module.write_tiny_model(path)


def describe(plan: Plan, attempt: Attempt, flags: Mapping[str, str]) -> dict[str, Any]:
    return {
        "commit": plan.source.commit,
        "source": plan.source.origin,
        "compiler": {"cc": attempt.toolchain.cc, "cxx": attempt.toolchain.cxx, "version": attempt.toolchain.version},
        "backends": ["cpu", *plan.options.backends, "rpc"],
        "cuda_archs": list(plan.backends.cuda_archs),
        "features": cpu_features(attempt.toolchain, flags),
        "cpu": cpu_identity()[0],
        "rung": attempt.rung.name,
        "notes": [*plan.options.notes, *plan.backends.notes],
        "flags": dict(flags),
        "llama_h_sha256": sha256_of(plan.source.tree / "include" / "llama.h"),
        "built_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "key": plan.key,
    }


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def read_info(lib: Path) -> dict[str, Any]:
    try:
        info = json.loads((lib / "BUILD_INFO.json").read_text())
    except (OSError, ValueError):
        return {}
    return info if isinstance(info, dict) else {}


def is_current(lib: Path, key: str) -> bool:
    info = read_info(lib)
    sizes = info.get("files", {})
    present = {path.name: path.stat().st_size for path in lib.iterdir()} if info else {}
    return info.get("key") == key and bool(sizes) and all(present.get(n) == size for n, size in sizes.items())


def install(staging: Path, lib: Path) -> None:
    """Two renames; if the second fails, the first is undone. What a crash between them leaves, recover() repairs."""
    previous = lib.with_name("lib.old")
    shutil.rmtree(previous, ignore_errors=True)
    if lib.exists():
        lib.rename(previous)
    try:
        staging.rename(lib)
    except BaseException:
        recover(lib)
        raise
    shutil.rmtree(previous, ignore_errors=True)


def recover(lib: Path) -> None:
    previous = lib.with_name("lib.old")
    if previous.exists() and not lib.exists():
        previous.rename(lib)


# --- The run ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """One build at a time per cache: they share source and build trees. The kernel frees the lock if we die."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "build.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another build_native.py is at work; waiting for it", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def check_disk(options: Options, folder: Path) -> None:
    need = max(DISK_GIB[name] for name in ("cpu", *options.backends))
    free = shutil.disk_usage(folder).free / GIB
    if free < need:
        raise BuildError(
            f"{folder} has {free:.1f} GiB free and this build needs about {need:g} GiB: free some space, or set"
            " XDG_CACHE_HOME to a larger disk.")  # fmt: skip


def clean(cache: Path) -> None:
    for folder in (cache / "build", *(cache / "source").glob("llama*"), *(cache / "source").glob("git-*")):
        shutil.rmtree(folder, ignore_errors=True)


def prune(folder: Path, pattern: str, keep: int) -> None:
    entries = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
    for entry in entries[keep:]:
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def find_source(options: Options, cache: Path, console: Console) -> Source:
    if options.source:
        return tree_source(options.source)
    if options.git_ref:
        return git_source(options.git_ref, cache, console)
    return locked_source(read_lock(NATIVE / "llama.lock"), cache)


def start_lower(attempts: tuple[Attempt, ...], info: Mapping[str, Any]) -> tuple[Attempt, ...]:
    """What crashed on this CPU with this compiler last time need not be compiled and crashed again."""
    for index, attempt in enumerate(attempts):
        same = info.get("compiler", {}).get("version") == attempt.toolchain.version and info.get("fallbacks")
        if same and info.get("cpu") == cpu_identity()[0] and info.get("rung") == attempt.rung.name:
            return attempts[index:]
    return attempts


def build(options: Options) -> int:
    cache = cache_dir()
    (cache / "log").mkdir(parents=True, exist_ok=True)
    prune(cache / "log", "*.log", 9)
    console = Console(cache / "log" / time.strftime("build-%Y%m%d-%H%M%S.log"), options.verbose)
    for note in options.notes:
        console.say(f"note: {note}")
    if not options.clean and not options.git_ref:
        plan = make_plan(options, find_source(options, cache, console))
        if is_current(LIB, plan.key):
            console.say(f"up to date: {LIB} (llama.cpp {plan.source.commit}; --info says more)")
            return 0
    with exclusive(cache):
        return build_alone(options, console)


def build_alone(options: Options, console: Console) -> int:
    cache = cache_dir()
    recover(LIB)
    for litter in LIB.parent.glob("lib.new-*"):
        shutil.rmtree(litter, ignore_errors=True)
    if options.clean:
        clean(cache)
    check_disk(options, cache)
    console.say(f"full log: {console.log}")
    console.step(1, "compiler and build tools")
    find_toolchains(os.environ)
    tools = find_build_tools(console)
    console.step(2, "llama.cpp source")
    source = find_source(options, cache, console)
    plan = make_plan(options, source)
    if not options.clean and is_current(LIB, plan.key):
        console.say(f"up to date: {LIB} (llama.cpp {source.commit}; --info says more)")
        return 0
    if not (options.source or options.git_ref):
        fetch_locked(read_lock(NATIVE / "llama.lock"), source, console)
    if not options.clean:
        plan = replace(plan, attempts=start_lower(plan.attempts, read_info(LIB)))
    staging = Path(tempfile.mkdtemp(prefix="lib.new-", dir=LIB.parent))
    try:
        build_into(staging, plan, tools, console)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    prune(cache / "build", "*", 3)
    return 0


def build_into(staging: Path, plan: Plan, tools: BuildTools, console: Console) -> None:
    for note in plan.backends.notes:
        console.say(f"      note: {note}")
    builder = Builder(plan, tools, console, staging)
    attempt, result, fallbacks = climb_down(plan.attempts, builder.build_and_check, console.say)
    console.step(6, "install")
    info = read_info(staging)
    earlier = read_info(LIB).get("fallbacks", []) if attempt.rung.name == read_info(LIB).get("rung") else []
    info["fallbacks"] = fallbacks or earlier
    info["check"] = result.last_line
    info["files"] = {path.name: path.stat().st_size for path in sorted(staging.glob("lib*"))}
    write_json(staging / "BUILD_INFO.json", info)
    install(staging, LIB)
    for note in fallbacks:
        console.say(f"      {note}")
    console.say(f"built llama.cpp {plan.source.commit} ({', '.join(info['backends'])}; {attempt.rung.name}) into"
                f" {LIB} in {console.elapsed()}")  # fmt: skip


def print_info(lib: Path) -> int:
    info = read_info(lib)
    if not info:
        raise BuildError(f"{lib} holds no build yet: run python build_native.py.")
    for name, value in info.items():
        if isinstance(value, dict):
            print(f"{name}:")
            print("\n".join(f"  {key} = {item}" for key, item in value.items()))
        else:
            print(f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
    return 0


def os_sentence(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full: free some space, or set XDG_CACHE_HOME to a larger disk."
    return f"{error.strerror or error}: {error.filename or 'no file name given'}."


def raise_interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    signal.signal(signal.SIGTERM, raise_interrupt)
    try:
        options = parse_options(argv, os.environ)
        return print_info(LIB) if options.info else build(options)
    except BuildError as error:
        print("".join(f"  | {line}\n" for line in error.tail), end="", file=sys.stderr)
        print(f"build_native.py: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"build_native.py: {os_sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nbuild_native.py: interrupted; what was installed before is untouched.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
