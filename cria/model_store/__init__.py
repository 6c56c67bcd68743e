"""From what the operator calls a model to a file on this machine.

1. A known name is fetched once, with the user's own pip, into `$XDG_CACHE_HOME/cria/models`; what
   is in Hugging Face's hub or at an address of its own is fetched from there; what Ollama has is
   used where it is.
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
from cria.model_store.hub import fetch_hub, find_hub
from cria.model_store.known import DEFAULT_MODEL, KNOWN_MODELS, ConvertedModel, KnownModel
from cria.model_store.ollama import find_ollama, resolve_ollama, tell_unused
from cria.model_store.packages import fetch, is_there
from cria.model_store.places import Progress, converted_folder, models_folder
from cria.model_store.specs import HubSpec, OllamaSpec, Spec, UrlSpec, parse
from cria.model_store.url import fetch_url, find_url

__all__ = [
    "DEFAULT_MODEL",
    "KNOWN_MODELS",
    "ConvertedModel",
    "KnownModel",
    "Progress",
    "converted_folder",
    "find",
    "models_folder",
    "names_of",
    "resolve",
]

NO_OPTIONS = LegacyOptions()


def resolve(spec: str, report: Progress, legacy: LegacyOptions = NO_OPTIONS) -> Path:
    """The file that a model's name or path means, fetched or converted if need be."""
    remote = None if spec in KNOWN_MODELS else parse(spec)
    if legacy and (spec in KNOWN_MODELS or remote is not None):
        raise ModelFileError(f"{legacy.named()}: only for files from before GGUF.")
    if spec in KNOWN_MODELS:
        return fetch(KNOWN_MODELS[spec], models_folder(), report)
    if isinstance(remote, OllamaSpec):
        path = resolve_ollama(remote)
        tell_unused(remote)
    elif remote is not None:
        path = _find(remote) or _fetch(remote, report)
    else:
        path = _own_file(spec)
    path = as_gguf(path, converted_folder(), report, legacy)
    check_model_file(path)
    return path.absolute()


def find(spec: str) -> Path | None:
    """The file that a model's name or path means, if it is here; nothing is fetched.

    ModelFileError if `spec` makes no sense, or if what is here is damaged.
    """
    if spec in KNOWN_MODELS:
        target = models_folder() / KNOWN_MODELS[spec].file_name
        return target if is_there(KNOWN_MODELS[spec], target) else None
    remote = parse(spec)
    if remote is not None:
        return _find(remote)
    path = Path(spec).expanduser()
    return path.absolute() if path.is_file() else None


def names_of(spec: str) -> tuple[str, ...]:
    """What a model may be called by, beside its file's name; an address is no name."""
    remote = None if spec in KNOWN_MODELS else parse(spec)
    is_name = spec in KNOWN_MODELS or isinstance(remote, HubSpec | OllamaSpec)
    return (spec,) if is_name else ()


def _find(spec: Spec) -> Path | None:
    if isinstance(spec, HubSpec):
        return find_hub(spec)
    return find_url(spec) if isinstance(spec, UrlSpec) else find_ollama(spec)


def _fetch(spec: HubSpec | UrlSpec, report: Progress) -> Path:
    return fetch_hub(spec, report) if isinstance(spec, HubSpec) else fetch_url(spec, report)


def _own_file(spec: str) -> Path:
    path = Path(spec).expanduser()
    if not path.exists() and not os.path.lexists(path) and not _looks_like_path(spec):
        known = ", ".join(sorted(KNOWN_MODELS))
        raise ModelFileError(f"There is no file {spec} and no model of that name; known: {known}.")
    return path


def _looks_like_path(spec: str) -> bool:
    return "/" in spec or spec.lower().endswith((".gguf", ".bin"))
