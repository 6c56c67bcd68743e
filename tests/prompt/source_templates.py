"""The chat templates in llama.cpp's source, as far as that is still where it was built."""

from __future__ import annotations

import json
from pathlib import Path

from cria.native.library import LIBRARY_DIR


def find_templates() -> dict[str, Path]:
    """By the names of the files; none if the source is gone."""
    try:
        info = json.loads((LIBRARY_DIR / "BUILD_INFO.json").read_text())
    except OSError:
        return {}
    tree = Path(info.get("flags", {}).get("LLAMA_CPP_DIR", "/nonexistent"))
    for folder in (tree, tree / "vendor" / "llama.cpp"):
        found = sorted((folder / "models" / "templates").glob("*.jinja"))
        if found:
            return {path.stem: path for path in found}
    return {}
