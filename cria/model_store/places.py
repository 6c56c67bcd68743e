"""Where fetched models lie, and what is said of a fetch."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

Progress = Callable[[int, int], None]
"""Takes the bytes that have come, and the bytes that will come in all."""


def models_folder() -> Path:
    """Where fetched models live."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says that a relative path is to be ignored.
    cache = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return cache / "cria" / "models"


def converted_folder() -> Path:
    """Where lies what was made of files from before GGUF."""
    return models_folder() / "converted"
