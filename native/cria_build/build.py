"""The run: nothing if what is installed is current, else its six steps, one build at a time."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from cria_build import paths
from cria_build.build_tools import find_build_tools
from cria_build.cache import cache_dir, check_disk, clean, exclusive, prune
from cria_build.compile import Builder
from cria_build.console import Console
from cria_build.info import file_sizes, is_current, read_info, write_info
from cria_build.install import install, recover
from cria_build.ladder import climb_down, skip_crashed
from cria_build.options import Options
from cria_build.plan import Plan, make_plan
from cria_build.source import fetch_locked, find_source, read_lock
from cria_build.toolchain import find_toolchains


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
    current = is_current(paths.LIB, plan.key)
    if current:
        console.say(f"up to date: llama.cpp {plan.source.commit} in {paths.LIB} (--info says more)")
    return current


def build_alone(options: Options, console: Console) -> None:
    recover(paths.LIB)
    for litter in paths.LIB.parent.glob("lib.new-*"):
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
        fetch_locked(read_lock(paths.NATIVE / "llama.lock"), source.tree, console)
    if not options.clean:
        plan = replace(plan, attempts=skip_crashed(plan.attempts, read_info(paths.LIB)))
    staging = Path(tempfile.mkdtemp(prefix="lib.new-", dir=paths.LIB.parent))
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
    before = read_info(paths.LIB)
    info = read_info(staging)
    remembered = before.get("fallbacks", []) if before.get("rung") == attempt.rung.name else []
    info["fallbacks"] = fallbacks or remembered
    info["check"] = result.reason
    info["files"] = file_sizes(staging)
    write_info(staging, info)
    install(staging, paths.LIB)
    for note in fallbacks:
        console.say(f"      note: {note}")
    made = f"llama.cpp {plan.source.commit} ({', '.join(info['backends'])}; {attempt.rung.name})"
    console.say(f"built {made} into {paths.LIB} in {console.elapsed}")
