"""The staging folder: the libraries as they will be installed, and layout.json."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from cria_build.commands import output_of
from cria_build.errors import BuildError


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
