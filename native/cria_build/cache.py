"""The cache folder: where it is, who may use it, and how it is kept small.

It holds source/, tools/, build/ and log/. Nothing in it is installed; all of it can be made again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from cria_build.errors import BuildError
from cria_build.options import Options

DISK_GIB = {"cpu": 1.5, "cuda": 6.0, "hip": 6.0, "vulkan": 2.5, "metal": 1.5}


def cache_dir() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "cria"


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
