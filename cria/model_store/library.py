"""The models that Cria has fetched: what there is, and how to be rid of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from cria.drafts import draft_folder, remove_draft
from cria.errors import ModelFileError, shown_name
from cria.model_store import hub, url
from cria.model_store.known import KNOWN_MODELS
from cria.model_store.places import models_folder
from cria.model_store.split import set_of

KNOWN_FILES = {model.file_name: name for name, model in KNOWN_MODELS.items()}


class Kept(msgspec.Struct, frozen=True):
    """One model; of a split set, all of its files."""

    name: str
    """What `cria serve` calls it."""
    path: Path
    """The first file."""
    files: list[Path]

    @property
    def num_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.files)

    @property
    def fetched(self) -> float:
        """When, in seconds since 1970."""
        return self.path.stat().st_mtime


def kept_models() -> list[Kept]:
    """By name; a set of which a part is missing is not among them."""
    return sorted(_found(models_folder()), key=lambda kept: kept.name)


def remove(name: str) -> Kept:
    """Delete a model's files, and what is left of fetching it.

    ModelFileError if it is none of ours, or cannot be removed. Whoever serves it goes on: what is
    mapped stays until it is let go.
    """
    kept = next((each for each in kept_models() if name in (each.name, str(each.path))), None)
    if kept is None:
        raise ModelFileError(
            f"Cria has fetched no {shown_name(name)}; `cria list` shows what it has."
        )
    try:
        for path in reversed(kept.files):  # the first one last: a set is there as long as it is
            path.unlink()
        remove_draft(draft_folder(kept.path))
    except OSError as error:
        raise ModelFileError(f"Cannot remove {kept.path}: {error.strerror}.") from error
    _tidy(kept.path.parent)
    return kept


def _found(folder: Path) -> Iterator[Kept]:
    for path in folder.rglob("*.gguf"):
        names = set_of(path.name)
        files = [path.with_name(name) for name in names]
        is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not is_hidden and names[0] == path.name and all(each.is_file() for each in files):
            yield Kept(_name_of(path, folder), path, files)


def _name_of(path: Path, folder: Path) -> str:
    parts = path.relative_to(folder).parts
    if len(parts) == 1:
        return KNOWN_FILES.get(path.name, str(path))
    if parts[0] == hub.FOLDER and len(parts) > 3:
        return f"hf:{parts[1]}/{parts[2]}:{'/'.join(parts[3:])}"
    record = url.read_record(path.parent) if parts[0] == url.FOLDER else None
    return str(path) if record is None else record.source


def _tidy(folder: Path) -> None:
    """Folders that have nothing left but the record of a fetch."""
    if [path.name for path in folder.iterdir()] == [url.RECORD]:
        (folder / url.RECORD).unlink()
    with suppress(OSError):  # not empty
        while folder != models_folder():
            os.rmdir(folder)
            folder = folder.parent
