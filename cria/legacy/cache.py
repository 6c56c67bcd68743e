"""Converted models are kept: the second start finds what the first has made."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

from cria.errors import ModelFileError
from cria.legacy.adapter import convert_adapter
from cria.legacy.assumed import LegacyOptions
from cria.legacy.formats import ADAPTER_MAGIC, MAGIC_BYTES, MODEL_MAGICS, STATE_MAGICS
from cria.legacy.model import convert_model

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]

CONVERTER_VERSION = 1
"""Grows when the same file would be converted to something else."""
HEAD_BYTES = 64 * 1024
KEY_LETTERS = 16
NO_OPTIONS = LegacyOptions()


def is_legacy(path: Path) -> bool:
    """Whether it is a model's file from before GGUF; its first bytes tell."""
    return _magic(path) in MODEL_MAGICS


def is_legacy_adapter(path: Path) -> bool:
    """Whether it is an adapter from before GGUF."""
    return _magic(path) == ADAPTER_MAGIC


def as_gguf(
    path: Path, folder: Path, report: Progress, options: LegacyOptions = NO_OPTIONS
) -> Path:
    """The file itself, or what was made of it, below `folder`, now or at an earlier time.

    ModelFileError for what can be neither, and for options that do not concern the file.
    """
    magic = _magic(path)
    if magic in MODEL_MAGICS:
        return _kept(path, folder, report, options)
    if options:
        raise ModelFileError(
            f"{options.named()}: only for files from before GGUF; {path} says these things itself."
        )
    if magic == ADAPTER_MAGIC:
        raise ModelFileError(f"{path} is an adapter; give the model that it belongs to.")
    if magic in STATE_MAGICS:
        raise ModelFileError(f"{path} is the saved state of a session, and has no model in it.")
    return path


def adapter_as_gguf(path: Path, folder: Path, base: Path | None = None) -> Path:
    """The same for an adapter, which is compared with its base."""
    if not is_legacy_adapter(path):
        return path
    target = _place(path, folder, f"{base}")
    if not target.is_file():
        _make_folder(target.parent)
        convert_adapter(path, target, base=base)
    return target


def _magic(path: Path) -> bytes:
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(MAGIC_BYTES)
    except (OSError, ValueError):
        return b""  # whoever reads it next says what is wrong


def _kept(path: Path, folder: Path, report: Progress, options: LegacyOptions) -> Path:
    target = _place(path, folder, repr(options))
    if target.is_file():
        logger.info("%s was converted before: %s", path.name, target)
        return target
    logger.info("Converting %s, once, to %s", path, target)
    _make_folder(target.parent)
    for note in convert_model(path, target, options, report):
        logger.warning("%s: %s", path.name, note)
    return target


def _place(path: Path, folder: Path, options: str) -> Path:
    """A folder for what the file is now, so that the name inside can be the model's."""
    try:
        found = path.stat()
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise ModelFileError(f"Cannot read the model file {path}: {error.strerror}.") from error
    told = (CONVERTER_VERSION, path.name, found.st_size, found.st_mtime_ns, options)
    key = hashlib.sha256(repr(told).encode("utf-8", "surrogateescape") + head).hexdigest()
    return folder / key[:KEY_LETTERS] / f"{path.stem}.gguf"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelFileError(f"Cannot store the model in {folder}: {error.strerror}.") from error
