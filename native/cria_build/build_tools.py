"""CMake and Ninja: the user's own if they are new enough, else the wheels, fetched by pip.

Wheels go into a folder of the cache, never into the user's environment.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cria_build.cache import cache_dir
from cria_build.commands import output_of, version_of
from cria_build.console import Console
from cria_build.errors import missing
from cria_build.toolchain import plain_environment


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
