"""Stand-ins for what a build works on: tools, source trees, libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cria_build.info import file_sizes, write_info
from cria_build.source import Source


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def fake_source(tree: Path = Path("/nowhere")) -> Any:
    return Source(tree, "test", "0123abcde", "state")


def make_tree(tmp_path: Path) -> Path:
    header = tmp_path / "tree" / "include" / "llama.h"
    if not header.exists():
        header.parent.mkdir(parents=True)
        header.write_text("// llama.h")
    return tmp_path / "tree"


def fake_library(folder: Path, key: str = "k", text: str = "code") -> Path:
    folder.mkdir(parents=True)
    (folder / "libllama.so.0").write_text(text)
    write_info(folder, {"key": key, "files": file_sizes(folder), "rung": "r"})
    return folder


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
