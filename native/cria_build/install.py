"""The swap of the old libraries for the new ones, whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path


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
