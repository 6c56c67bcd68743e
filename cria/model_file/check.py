"""From a path to a checked header: the one door for whoever is about to load a file."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from cria.errors import ModelFileError
from cria.model_file.header import MAGIC, Header, read_header
from cria.model_file.model_rules import check_rules
from cria.model_file.reader import BadFile

OLD_MAGICS = (b"lmgg", b"fmgg", b"tjgg", b"algg")
"""Before GGUF; written as little-endian numbers, so that the letters stand backwards."""

_SPLIT_NAME = re.compile(
    r"(?P<stem>.+)-(?P<part>[0-9]{5})-of-(?P<count>(?!00000)[0-9]{5})\.gguf", re.DOTALL
)


def check_model_file(path: str | os.PathLike[str]) -> Header:
    """The header of the file, the first one of a split set; all of its parts are checked.

    ModelFileError names the file, what is wrong with it, and the value.
    """
    return check_model_files(path)[0]


def check_model_files(path: str | os.PathLike[str]) -> list[Header]:
    """The same, with the headers of all parts."""
    files = parts_of(Path(path))
    return [_checked(file, number, len(files)) for number, file in enumerate(files)]


def parts_of(path: Path) -> list[Path]:
    """All files of a split set, or the one; ModelFileError if one is missing."""
    check_regular(path)
    match = _SPLIT_NAME.fullmatch(path.name)
    if match is None:
        return [path]
    stem, part, count = match["stem"], int(match["part"]), int(match["count"])
    parts = [path.with_name(f"{stem}-{i:05d}-of-{count:05d}.gguf") for i in range(1, count + 1)]
    if part != 1:
        raise ModelFileError(
            f"{path.name} is part {part} of {count}; give the first: "
            f"{stem}-00001-of-{count:05d}.gguf."
        )
    missing = [other.name for other in parts if not other.is_file()]
    if missing:
        raise ModelFileError(
            f"{len(missing)} of the {count} parts of {path.name} are missing, first {missing[0]}."
        )
    return parts


def check_regular(path: Path) -> None:
    """Nothing that would block whoever opens it, or never end."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if stat.S_ISDIR(mode):
        raise ModelFileError(f"{path} is a folder; give the GGUF file in it.")
    if not stat.S_ISREG(mode):
        raise ModelFileError(f"{path} is not a regular file.")


def _checked(path: Path, number: int, count: int) -> Header:
    try:
        with path.open("rb") as file:
            _check_magic(file.read(len(MAGIC)), path)
            file.seek(0)
            header = read_header(file)
        if number == 0:
            check_rules(header)
        _check_split(header, number, count)
    except OSError as error:
        raise _unreadable(path, error) from error
    except BadFile as error:
        raise ModelFileError(f"{path} cannot be served: {error}.") from error
    return header


def _check_magic(magic: bytes, path: Path) -> None:
    if magic in OLD_MAGICS:
        raise ModelFileError(
            f"{path} is a GGML file from before GGUF, which llama.cpp no longer reads."
        )
    if magic != MAGIC:
        raise ModelFileError(f"{path} is not a GGUF file.")


def _check_split(header: Header, number: int, count: int) -> None:
    """The files' names and their metadata agree on which part of how many this is."""
    told = header.metadata.get("split.count", 0), header.metadata.get("split.no", 0)
    if told[0] not in ((0, 1) if count == 1 else (count,)):
        raise BadFile(f"it says that it is one of {told[0]} parts, its name says {count}")
    if count > 1 and told[1] != number:
        raise BadFile(f"it says that it is part {told[1]}, counted from 0, its name says {number}")


def _unreadable(path: Path, error: Exception) -> ModelFileError:
    reason = getattr(error, "strerror", None) or error
    return ModelFileError(f"Cannot read the model file {path}: {reason}.")
