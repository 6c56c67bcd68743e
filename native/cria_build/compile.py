"""One attempt to build: configure, compile, stage, check, with one compiler and one rung.

Makes a staging folder and nothing else; whether it is installed, is decided in `build`.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cria_build import paths
from cria_build.build_tools import BuildTools
from cria_build.cache import cache_dir
from cria_build.check import CheckResult, run_check
from cria_build.console import Console
from cria_build.errors import step_failure
from cria_build.info import describe, write_info
from cria_build.ladder import Attempt
from cria_build.plan import Plan
from cria_build.staging import built_backends, probe_layout, stage_libraries
from cria_build.toolchain import Toolchain, plain_environment, supported_flags


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
        """One per checkout, compiler and set of options; the rungs of a ladder share it."""
        identity = (str(paths.NATIVE), sorted(self.plan.flags), toolchain)
        name = hashlib.sha256(repr(identity).encode()).hexdigest()[:12]
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
        command = [str(self.tools.cmake), "-S", str(paths.NATIVE), "-B", str(folder), "-G", "Ninja"]
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
