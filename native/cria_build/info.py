"""BUILD_INFO.json: what was built, from what and how; whether it is current; `--info`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cria_build.cpu import cpu_identity
from cria_build.errors import BuildError
from cria_build.ladder import Attempt
from cria_build.plan import Plan
from cria_build.source import sha256_of
from cria_build.toolchain import cpu_features


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
