"""The build script without compiling: what it understands, refuses, remembers and survives."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

SCRIPT = Path(__file__).resolve().parents[1] / "build_native.py"


def load_script() -> Any:
    spec = importlib.util.spec_from_file_location("build_native", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


bn = load_script()


def parse(*argv: str, **env: str) -> Any:
    return bn.parse_options(argv, env)


def refused(function: Callable[..., Any], *arguments: Any) -> str:
    """The one sentence with which `function` refuses `arguments`."""
    with pytest.raises(bn.BuildError) as caught:
        function(*arguments)
    sentence = str(caught.value)
    assert sentence.endswith((".", ")")) and "\n" not in sentence
    return sentence


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the real cache, the real libraries or the caller's compiler settings."""
    (tmp_path / "native").mkdir()
    monkeypatch.setattr(bn, "LIB", tmp_path / "native" / "lib")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS", "LLAMA_CUBLAS", "CUDACXX"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def console(tmp_path: Path) -> Any:
    return bn.Console(tmp_path / "build.log")


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


# --- CUDA architectures -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "archs"),
    [
        ("75", ("75",)), ("sm_75", ("75",)), ("compute_75", ("75",)), ("7.5", ("75",)),
        ("75;86", ("75", "86")), ("75,86", ("75", "86")), ("75 86", ("75", "86")),
        ("SM_90", ("90",)), ("90a", ("90a",)), ("9.0a", ("90a",)), ("12.0", ("120",)),
        ("native", ("native",)), ("75;sm_75;7.5", ("75",)), ("100f", ("100f",)),
    ],
)  # fmt: skip
def test_every_spelling_of_an_architecture(text: str, archs: tuple[str, ...]) -> None:
    assert bn.parse_cuda_archs([text]) == archs


@pytest.mark.parametrize(
    "text", ["", " ; ", "74", "7", "sm75x", "75a", "90f", "all", "7.5.1", "-75", "\u0667\u0665"]
)
def test_a_bad_architecture_is_one_sentence(text: str) -> None:
    refused(bn.parse_cuda_archs, [text])


@given(st.text(max_size=20))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        archs = bn.parse_cuda_archs([text])
    except bn.BuildError:
        return
    assert archs
    assert all(a == "native" or int(a.rstrip("af")) in bn.CUDA_ARCHS for a in archs)
    assert bn.parse_cuda_archs([";".join(archs)]) == archs


@given(st.lists(st.sampled_from(sorted(bn.CUDA_ARCHS)), min_size=1), st.sampled_from(";, "))
def test_lists_keep_order_and_drop_repeats(numbers: list[int], separator: str) -> None:
    expected = tuple(dict.fromkeys(map(str, numbers)))
    assert bn.parse_cuda_archs([separator.join(map(str, numbers))]) == expected
    assert bn.parse_cuda_archs([f"sm_{number}" for number in numbers]) == expected


@pytest.mark.parametrize(
    ("arch", "toolkit", "word"),
    [("75", (13, 0), ""), ("61", (13, 0), "too new"), ("120", (12, 6), "too old"),
     ("90a", (11, 8), ""), ("35", (11, 8), ""), ("35", (12, 0), "too new"),
     ("89", (11, 7), "too old")],
)  # fmt: skip
def test_architecture_and_toolkit_must_fit(arch: str, toolkit: tuple[int, int], word: str) -> None:
    if word:
        assert word in refused(bn.check_cuda_archs, [arch], toolkit)
    else:
        bn.check_cuda_archs([arch], toolkit)


def fake_cuda(folder: Path, monkeypatch: pytest.MonkeyPatch, capability: str) -> None:
    executable(folder / "nvcc", 'echo "Cuda compilation tools, release 12.8, V12.8.61"')
    executable(folder / "nvidia-smi", f'echo "{capability}"' if capability else "exit 9")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_HOME", raising=False)
    monkeypatch.delenv("CUDA_PATH", raising=False)


def test_cublas_is_cuda_for_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cuda(tmp_path / "bin", monkeypatch, "9.0")
    plans = [
        bn.plan_backends(options)
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
    plan = bn.plan_backends(parse("--cuda-arch", "75", "--cuda-arch", "8.6", LLAMA_CUBLAS="1"))
    assert dict(plan.defines)["CMAKE_CUDA_ARCHITECTURES"] == "75-real;86-real"


def test_no_gpu_no_nvcc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cuda(tmp_path / "bin", monkeypatch, "")
    assert "--cuda-arch 75" in refused(bn.plan_backends, parse(LLAMA_CUBLAS="yes"))
    monkeypatch.setattr(bn.shutil, "which", lambda name: None)
    assert "nvcc" in refused(bn.plan_backends, parse("--cuda-arch", "75"))


def test_other_backends_name_what_they_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bn.shutil, "which", lambda name: None)
    assert "glslc" in refused(bn.plan_backends, parse("--vulkan"))
    assert "hipcc" in refused(bn.plan_backends, parse("--hip"))
    monkeypatch.setattr(bn.sys, "platform", "linux")
    assert "macOS" in refused(bn.plan_backends, parse("--metal"))


# --- Options ------------------------------------------------------------------------------------


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
    assert bn.translate_name(old) == new


def test_translated_defines_reach_cmake_and_are_mentioned() -> None:
    options = parse("-DLLAMA_AVX512=OFF", "-D", "LLAMA_CUDA_F16=1", "-DGGML_LTO:BOOL=ON")
    assert options.defines == (("GGML_AVX512", "OFF"), ("GGML_LTO", "ON"))
    assert len(options.notes) == 2
    flags = bn.cmake_flags(options, fake_source(), bn.BackendPlan())
    assert flags["GGML_AVX512"] == "OFF" and flags["GGML_LTO"] == "ON"


@pytest.mark.parametrize(
    "argv",
    [("-DLLAMA_CUBLAS",), ("-D", "=1"), ("-DLLAMA_CUBLAS=perhaps",), ("-DBUILD_SHARED_LIBS=OFF",),
     ("-DLLAMA_STATIC=ON",), ("--cuda-arch", "75", "-DGGML_CUDA=OFF"), ("--jobs", "-1"),
     ("--hip", "--cuda-arch", "75"), ("-DCMAKE_CXX_COMPILER=clang++",)],
)  # fmt: skip
def test_contradictions_are_refused(argv: tuple[str, ...]) -> None:
    refused(bn.parse_options, argv, {})


def test_environment_switch_must_be_on_or_off() -> None:
    assert parse(LLAMA_CUBLAS="0").backends == parse(LLAMA_CUBLAS="").backends == ()
    assert "LLAMA_CUBLAS" in refused(bn.parse_options, (), {"LLAMA_CUBLAS": "maybe"})


@pytest.mark.parametrize("argv", [("--cublas",), ("--cuda", "75"), ("--source",), ("stray",)])
def test_unknown_options_are_refused(argv: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(*argv)
    assert caught.value.code == 2


def test_portable_builds_every_variant() -> None:
    flags = bn.cmake_flags(parse("--portable"), fake_source(), bn.BackendPlan())
    assert (flags["GGML_BACKEND_DL"], flags["GGML_CPU_ALL_VARIANTS"]) == ("ON", "ON")
    assert flags["GGML_NATIVE"] == "OFF"


# --- Source -------------------------------------------------------------------------------------


def fake_source(tree: Path = Path("/nowhere")) -> Any:
    return bn.Source(tree, "test", "0123abcde", "state")


def make_sdist(folder: Path, name: str = "llama_cpp_python-1.0") -> tuple[Path, Any]:
    """A source distribution with one header, and a lock that pins it."""
    folder.mkdir(parents=True)
    archive = folder / f"{name}.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for path in ("vendor/llama.cpp/include/llama.h", "vendor/llama.cpp/.git", "setup.py"):
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size = 3
            tar.addfile(member, io.BytesIO(b"// "))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    lock = bn.Lock("llama_cpp_python", "1.0", archive.name, archive.stat().st_size, digest,
                   "vendor/llama.cpp", "0123abcde")  # fmt: skip
    return archive, lock


def test_the_lock_of_this_repository() -> None:
    lock = bn.read_lock(SCRIPT.parent / "native" / "llama.lock")
    assert lock.sdist == f"{lock.package}-{lock.version}.tar.gz"
    assert len(lock.sha256) == 64 and lock.bytes > 10**7 and lock.source == "vendor/llama.cpp"


@pytest.mark.parametrize("text", ["", "package = x\n", "bytes = many\n"])
def test_a_damaged_lock_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "llama.lock").write_text(text)
    assert "damaged" in refused(bn.read_lock, tmp_path / "llama.lock")


def test_only_llama_cpp_is_unpacked(console: Any) -> None:
    _, lock = make_sdist(bn.cache_dir() / "source" / "download")
    tree = bn.locked_source(lock).tree
    bn.fetch_locked(lock, tree, console)
    assert [path.name for path in tree.rglob("*") if path.is_file()] == ["llama.h"]
    assert sorted(path.name for path in tree.parent.iterdir()) == sorted(["download", tree.name])


def test_a_wrong_sha256_is_refused_and_forgotten(console: Any) -> None:
    archive, lock = make_sdist(bn.cache_dir() / "source" / "download")
    archive.write_bytes(archive.read_bytes() + b"x")
    tree = bn.locked_source(lock).tree
    assert lock.sha256 in refused(bn.fetch_locked, lock, tree, console)
    assert not archive.exists() and not tree.exists()


def test_no_network_is_one_sentence(console: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, lock = make_sdist(bn.cache_dir() / "elsewhere")
    lines = ["WARNING: Retrying: NewConnectionError(...): Temporary failure in name resolution"]
    monkeypatch.setattr(bn.Console, "run", lambda *arguments: (1, lines))
    sentence = refused(bn.fetch_locked, lock, bn.locked_source(lock).tree, console)
    assert "network" in sentence and "--source" in sentence and lock.sdist in sentence


def test_source_trees_are_recognised(tmp_path: Path) -> None:
    header = tmp_path / "sdist" / "vendor" / "llama.cpp" / "include" / "llama.h"
    header.parent.mkdir(parents=True)
    header.write_text("// one")
    source = bn.tree_source(tmp_path / "sdist")
    assert source.tree == header.parents[1]
    assert bn.tree_source(tmp_path / "sdist") == source
    header.write_text("// two!")
    assert bn.tree_source(tmp_path / "sdist").state != source.state
    assert "llama.h" in refused(bn.tree_source, tmp_path)


def test_a_git_ref_is_cloned_and_a_branch_followed(
    tmp_path: Path, console: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream = tmp_path / "upstream"
    monkeypatch.setattr(bn, "UPSTREAM", str(upstream))
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(upstream)]
    subprocess.run(["git", "init", "-q", "-b", "master", str(upstream)], check=True)
    commit = [*git, "commit", "-q", "--allow-empty", "-m", "x"]
    subprocess.run(commit, check=True)
    subprocess.run([*git, "tag", "b1"], check=True)
    first = bn.git_source("master", console)
    tagged = bn.git_source("b1", console)
    subprocess.run(commit, check=True)
    assert bn.git_source("b1", console) == tagged
    assert bn.git_source("master", console).state != first.state == tagged.state
    assert "--git-ref" in refused(bn.git_source, "no-such-ref", console)
    assert not (bn.cache_dir() / "source" / "git-no-such-ref").exists()


# --- Compiler and tools -------------------------------------------------------------------------


def test_no_compiler_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    sentence = refused(bn.find_toolchains, {})
    for command in ("apt install build-essential", "dnf install gcc-c++", "xcode-select"):
        assert command in sentence


def test_the_users_compiler_comes_first(tmp_path: Path) -> None:
    mine = str(executable(tmp_path / "mine", "echo mine 1.0"))
    found = bn.find_toolchains({"CC": mine, "CXX": mine})
    assert found[0].version == "mine 1.0" and len(found) == 2
    assert "CXX" in refused(bn.find_toolchains, {"CXX": "/no/such/compiler"})


def test_nvcc_gets_the_host_compiler_of_its_toolchain(tmp_path: Path) -> None:
    mine = str(executable(tmp_path / "mine", "echo mine 1.0"))
    (system,) = bn.find_toolchains({}, cuda=True)
    assert dict(system.cuda)["CUDAHOSTCXX"] == shutil.which(system.cxx)
    users, fallback = bn.find_toolchains({"CXX": mine}, cuda=True)
    assert dict(users.cuda) == {"CUDAHOSTCXX": mine} and fallback == system
    users, fallback = bn.find_toolchains({"NVCC_PREPEND_FLAGS": "-ccbin x"}, cuda=True)
    assert dict(users.cuda)["NVCC_PREPEND_FLAGS"] == "-ccbin x" and fallback == system
    assert len(bn.find_toolchains({"CUDAHOSTCXX": mine})) == 1, "no CUDA, no difference"


def test_pip_and_cmake_do_not_see_the_compiler_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "strange")
    assert "CXX" not in bn.plain_environment()


def test_every_missing_piece_has_three_commands() -> None:
    for piece in bn.MISSING:
        sentence = str(bn.missing(piece))
        assert all(name in sentence for name in ("Debian/Ubuntu:", "Fedora:", "macOS:"))


def test_an_old_tool_is_replaced_by_the_wheel(
    tmp_path: Path, console: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable(tmp_path / "bin" / "cmake", "echo cmake version 3.5.1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    wheel = bn.cache_dir() / "tools" / "cmake" / "cmake" / "data" / "bin" / "cmake"

    def pip(*arguments: object) -> tuple[int, list[str]]:
        executable(wheel, "echo cmake version 4.1.0")
        return 0, []

    monkeypatch.setattr(bn.Console, "run", pip)
    assert bn.find_or_fetch("cmake", ("cmake",), (3, 18), console) == wheel
    wheel.unlink()
    monkeypatch.setattr(bn.Console, "run", lambda *arguments: (1, []))
    assert "cmake" in refused(bn.find_or_fetch, "cmake", ("cmake",), (3, 18), console)


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
    error = bn.step_failure("compile", lines, Path("build.log"))
    assert word in str(error) and len(error.tail) == 30 and error.tail[-1] == line


# --- The ladder ---------------------------------------------------------------------------------


SYSTEM = bn.Toolchain("cc", "c++", "c++ 12")
FOREIGN = bn.Toolchain("mycc", "myc++", "myc++ 1")


def climb(attempts: list[Any], codes: list[int]) -> tuple[Any, list[str]]:
    """Runs the ladder against children that end with `codes`, one after the other."""
    tried = []

    def child(attempt: Any) -> Any:
        tried.append(attempt)
        return bn.CheckResult(codes[len(tried) - 1], '{"ok": true}')

    attempt, _, fallbacks = bn.climb_down(attempts, child, lambda text: None)
    assert tried == attempts[: len(codes)]
    return attempt, fallbacks


@pytest.mark.parametrize(
    "crash", [signal.SIGILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE]
)
def test_a_crash_goes_one_rung_down(crash: signal.Signals) -> None:
    attempts = bn.list_attempts([SYSTEM], bn.LADDERS["x86"], {"amx_tile", "avx512f", "avx2"})
    attempt, fallbacks = climb(attempts, [-crash, 0])
    assert attempt.rung.name == "no AMX" and crash.name in fallbacks[0]
    assert climb(attempts, [0]) == (attempts[0], [])
    assert climb(attempts, [-crash] * 4 + [0])[0].rung.name == "plain x86-64"


def test_rungs_without_meaning_here_are_skipped() -> None:
    ladder = bn.LADDERS["x86"]
    names = [a.rung.name for a in bn.list_attempts([SYSTEM], ladder, {"avx2", "fma"})]
    assert names == ["no CPU feature excluded", "AVX2 baseline", "plain x86-64"]
    assert len(bn.list_attempts([SYSTEM], ladder, set())) == len(ladder)


def test_a_foreign_compiler_gets_one_try() -> None:
    attempts = bn.list_attempts([FOREIGN, SYSTEM], bn.LADDERS["x86"], {"avx2"})
    assert [a.toolchain for a in attempts] == [FOREIGN, SYSTEM, SYSTEM, SYSTEM]
    assert climb(attempts, [-signal.SIGSEGV, 0])[0] == attempts[1]
    assert attempts[0].rung == attempts[1].rung


def test_a_mismatch_is_not_a_crash() -> None:
    attempts = bn.list_attempts([SYSTEM], bn.LADDERS["x86"], {"avx2"})
    result = bn.CheckResult(1, 'noise\n{"ok": false, "reason": "llama_batch has 48 bytes"}\n')
    sentence = refused(bn.climb_down, attempts, lambda attempt: result, print)
    assert sentence == "the new libraries do not pass their check: llama_batch has 48 bytes."


def test_the_bottom_of_the_ladder() -> None:
    attempts = bn.list_attempts([SYSTEM], bn.LADDERS["x86"], {"avx2"})
    result = bn.CheckResult(-signal.SIGILL, "")
    assert "SIGILL" in refused(bn.climb_down, attempts, lambda attempt: result, lambda text: None)


def test_the_next_build_starts_where_the_last_one_ended() -> None:
    attempts = bn.list_attempts([SYSTEM], bn.LADDERS["x86"], {"amx_tile", "avx2"})
    info = {"cpu": bn.cpu_identity()[0], "rung": "no AMX", "fallbacks": ["SIGILL"],
            "compiler": {"version": SYSTEM.version}}  # fmt: skip
    assert bn.skip_crashed(attempts, info) == tuple(attempts[1:])
    changes: tuple[dict[str, Any], ...] = (
        {"cpu": "another"}, {"fallbacks": []}, {"compiler": {"version": "13"}}
    )  # fmt: skip
    for changed in changes:
        assert bn.skip_crashed(attempts, {**info, **changed}) == tuple(attempts)
    assert bn.skip_crashed(attempts, {}) == tuple(attempts)


def make_tree(tmp_path: Path) -> Path:
    header = tmp_path / "tree" / "include" / "llama.h"
    if not header.exists():
        header.parent.mkdir(parents=True)
        header.write_text("// llama.h")
    return tmp_path / "tree"


def make_plan(tmp_path: Path, *argv: str) -> Any:
    return bn.make_plan(parse(*argv), fake_source(make_tree(tmp_path)))


def test_exclusions_reach_the_cpu_backend_and_follow_own_flags(tmp_path: Path) -> None:
    plan = make_plan(tmp_path, "-DCMAKE_C_FLAGS=-O1", "-DCRIA_CPU_FLAGS=-mine")
    real = bn.find_toolchains({})[0]
    rung = bn.Rung("test", "", ("-fno-builtin", "-mno-such-thing"), (("GGML_NATIVE", "OFF"),))
    flags = bn.attempt_flags(plan, bn.Attempt(real, rung))
    assert flags["CRIA_CPU_FLAGS"] == "-mine;-fno-builtin"
    assert flags["CMAKE_C_FLAGS"] == "-O1 -fno-builtin"
    assert flags["GGML_NATIVE"] == "OFF" and "CMAKE_CXX_FLAGS" not in flags


# --- Key, installation --------------------------------------------------------------------------


def test_the_key_follows_what_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = make_plan(tmp_path).key
    assert make_plan(tmp_path).key == make_plan(tmp_path, "--jobs", "1", "--verbose").key == key
    assert make_plan(tmp_path, "-DGGML_LTO=ON").key != key
    assert make_plan(tmp_path, "--portable").key != key
    monkeypatch.setattr(bn, "cpu_identity", lambda: ("another CPU", frozenset()))
    assert make_plan(tmp_path).key != key
    monkeypatch.undo()
    monkeypatch.setenv("CXXFLAGS", "-O1")
    assert make_plan(tmp_path).key != key


def fake_library(folder: Path, key: str = "k", text: str = "code") -> Path:
    folder.mkdir(parents=True)
    (folder / "libllama.so.0").write_text(text)
    bn.write_info(folder, {"key": key, "files": bn.file_sizes(folder), "rung": "r"})
    return folder


def test_current_means_same_key_and_whole_files() -> None:
    lib = fake_library(bn.LIB)
    assert bn.is_current(lib, "k") and not bn.is_current(lib, "other")
    (lib / "libllama.so.0").write_text("")
    assert not bn.is_current(lib, "k")
    assert not bn.is_current(lib / "absent", "k")
    (lib / "BUILD_INFO.json").write_text("[]")
    assert not bn.is_current(lib, "k")


def test_install_replaces_or_leaves_alone(tmp_path: Path) -> None:
    new = fake_library(tmp_path / "native" / "lib.new-1", text="new")
    bn.install(new, bn.LIB)
    assert (bn.LIB / "libllama.so.0").read_text() == "new"
    with pytest.raises(FileNotFoundError):
        bn.install(tmp_path / "absent", bn.LIB)
    assert (bn.LIB / "libllama.so.0").read_text() == "new"
    assert [path.name for path in bn.LIB.parent.iterdir()] == ["lib"]


def test_a_kill_between_the_two_renames_is_repaired() -> None:
    fake_library(bn.LIB).rename(bn.LIB.with_name("lib.old"))
    bn.recover(bn.LIB)
    assert bn.LIB.is_dir()


def make_built(folder: Path) -> Path:
    """A build's output folder with its chains of links, and a probe that answers."""
    folder.mkdir(parents=True)
    for name, version in (("llama", "0.5.0"), ("ggml-base", "0.25.3")):
        (folder / f"lib{name}.so.{version}").write_text(name)
        (folder / f"lib{name}.so.0").symlink_to(f"lib{name}.so.{version}")
        (folder / f"lib{name}.so").symlink_to(f"lib{name}.so.0")
    for name in ("cria_native", "ggml-cpu-haswell", "ggml-cpu-sapphirerapids"):
        (folder / f"lib{name}.so").write_text(name)
    executable(folder / "abi_probe", 'echo "{}"')
    return folder


def test_libraries_keep_the_name_that_the_loader_asks_for(tmp_path: Path) -> None:
    built = make_built(tmp_path / "bin")
    bn.stage_libraries(built, tmp_path / "stage", bn.AMX_VARIANTS)
    staged = {path.name: path for path in (tmp_path / "stage").iterdir()}
    names = ["libcria_native.so", "libggml-base.so.0", "libggml-cpu-haswell.so", "libllama.so.0"]
    assert sorted(staged) == names
    assert staged["libllama.so.0"].read_text() == "llama"
    assert not staged["libllama.so.0"].is_symlink()
    assert staged["libllama.so.0"].stat().st_mode & stat.S_IXUSR


class FakeSteps:
    """Stands in for the commands of a build; `failing` is the step that fails."""

    def __init__(self, failing: str = "", checks: tuple[int, ...] = (0,)) -> None:
        self.failing, self.checks, self.commands = failing, list(checks), []  # type: ignore[var-annotated]

    def run(self, console: Any, command: list[str], *rest: Any) -> tuple[int, list[str]]:
        step = "configure" if "-S" in command else "compile"
        self.commands.append(step)
        if step == self.failing:
            return 1, ["it went wrong"]
        if step == "compile":
            folder = Path(command[command.index("-C") + 1])
            if not (folder / "bin").exists():
                make_built(folder / "bin")
        return 0, []

    def check(self, staging: Path, model: Path, log: Path) -> Any:
        return bn.CheckResult(self.checks.pop(0), '{"ok": true}')


def build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, steps: FakeSteps, *argv: str) -> int:
    make_tree(tmp_path)
    tools = bn.BuildTools(Path("cmake"), Path("ninja"))
    monkeypatch.setattr(bn, "find_build_tools", lambda console: tools)
    monkeypatch.setattr(bn.Console, "run", lambda *arguments: steps.run(*arguments))
    monkeypatch.setattr(bn, "run_check", steps.check)
    monkeypatch.setattr(bn, "DISK_GIB", dict.fromkeys(bn.DISK_GIB, 0.0))
    return int(bn.main(["--source", str(tmp_path / "tree"), *argv]))


def test_a_build_installs_and_a_second_one_does_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = FakeSteps()
    assert build(monkeypatch, tmp_path, steps) == 0
    info = json.loads((bn.LIB / "BUILD_INFO.json").read_text())
    assert {"commit", "source", "compiler", "flags", "features", "backends", "cuda_archs", "rung",
            "notes", "fallbacks", "llama_h_sha256", "built_at", "build_seconds",
            "key", "files", "check"} <= set(info)  # fmt: skip
    assert info["llama_h_sha256"] == hashlib.sha256(b"// llama.h").hexdigest()
    assert info["backends"] == ["cpu"]
    assert "libllama.so.0" in info["files"] and "layout.json" in info["files"]
    assert build(monkeypatch, tmp_path, steps) == 0
    assert steps.commands == ["configure", "compile"]
    assert "up to date" in capsys.readouterr().out
    assert build(monkeypatch, tmp_path, FakeSteps(), "--clean") == 0
    assert bn.main(["--info"]) == 0
    assert f"commit: {info['commit']}" in capsys.readouterr().out


@pytest.mark.parametrize("failing", ["configure", "compile"])
def test_a_failing_step_leaves_the_old_build(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    failing: str,
) -> None:
    fake_library(bn.LIB, text="old")
    assert build(monkeypatch, tmp_path, FakeSteps(failing)) == 1
    printed = capsys.readouterr()
    assert failing in printed.err and "Traceback" not in printed.err
    assert "it went wrong" in printed.err
    assert (bn.LIB / "libllama.so.0").read_text() == "old"
    assert [path.name for path in bn.LIB.parent.iterdir()] == ["lib"]


def test_a_failed_check_leaves_the_old_build(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_library(bn.LIB, text="old")
    assert build(monkeypatch, tmp_path, FakeSteps(checks=(1,))) == 1
    assert (bn.LIB / "libllama.so.0").read_text() == "old"


def test_an_interrupt_leaves_the_old_build(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*arguments: object) -> Any:
        raise KeyboardInterrupt

    steps = FakeSteps()
    monkeypatch.setattr(steps, "check", interrupt)
    fake_library(bn.LIB, text="old")
    assert build(monkeypatch, tmp_path, steps) == 130
    assert "untouched" in capsys.readouterr().err
    assert [path.name for path in bn.LIB.parent.iterdir()] == ["lib"]


def test_a_crash_in_the_check_is_built_around_and_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(monkeypatch, tmp_path, FakeSteps(checks=(-signal.SIGILL, 0))) == 0
    info = bn.read_info(bn.LIB)
    assert "SIGILL" in info["fallbacks"][0] and info["rung"] != bn.LADDERS["x86"][0].name
    assert "SIGILL" in capsys.readouterr().out


def test_a_full_disk_is_refused_before_the_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bn, "DISK_GIB", {"cpu": 1e9})
    assert "XDG_CACHE_HOME" in refused(bn.check_disk, bn.Options(), tmp_path)


def test_info_without_a_build(capsys: pytest.CaptureFixture[str]) -> None:
    assert bn.main(["--info"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_builds_wait_for_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = []

    def flock(file: object, mode: int) -> None:
        asked.append(mode)
        if mode & bn.fcntl.LOCK_NB:
            raise BlockingIOError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bn.fcntl, "flock", flock)
        with bn.exclusive(tmp_path):
            pass
    assert asked == [bn.fcntl.LOCK_EX | bn.fcntl.LOCK_NB, bn.fcntl.LOCK_EX]
    assert "another build" in capsys.readouterr().out


# --- Console ------------------------------------------------------------------------------------


def test_output_is_logged_and_progress_sparse(
    console: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    console.step(4, "compile")
    for percent in range(101):
        console.percent(percent)
    assert capsys.readouterr().out.count("\n") == 6
    script = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    code, lines = console.run([sys.executable, "-c", script], dict(os.environ))
    assert code == 3 and sorted(lines) == ["err", "out"]
    assert "out" in console.log.read_text()


def test_an_interrupted_command_is_ended(console: Any) -> None:
    children = []

    def interrupt(line: str) -> None:
        children.append(int(line))
        raise KeyboardInterrupt

    script = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    with pytest.raises(KeyboardInterrupt):
        console.run([sys.executable, "-c", script], dict(os.environ), interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(children[0], 0)


@pytest.mark.parametrize(("seconds", "text"), [(5.9, "5s"), (72, "1m12s"), (600, "10m00s")])
def test_durations(seconds: float, text: str) -> None:
    assert bn.duration(seconds) == text
