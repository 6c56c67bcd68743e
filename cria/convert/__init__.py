"""Models in other formats to GGUF files, without the libraries that trained them.

`convert` looks at what it is given and calls the module that knows it; a further format is one more
module. Needs the package `gguf`, which the extra `convert` brings.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from cria.convert.source import WEIGHTS, opened
from cria.drafts import drafted
from cria.errors import SetupError


def check_installed() -> None:
    """SetupError if nothing could be converted here."""
    if importlib.util.find_spec("gguf") is None:
        raise SetupError(
            "Converting needs the Python package gguf; install it with the extra `convert`: "
            'pip install "cria[convert]".'
        )


def convert(source: Path, target: Path) -> None:
    """Write the GGUF file `target` from a folder or package; SetupError says what is missing.

    The file appears under its name only when it is whole; one that is there is replaced.
    """
    check_installed()
    from cria.convert.bert import convert_bert

    try:
        with opened(source) as folder:
            check_space(folder, target.parent)
            with drafted(target) as draft:
                convert_bert(folder, draft)
    except OSError as error:
        name = error.filename or target
        raise SetupError(f"{name} cannot be read or written: {error.strerror}.") from error


def check_space(source: Path, folder: Path) -> None:
    """SetupError if there is no room in `folder` for what is never larger than its source."""
    weights = source / WEIGHTS
    needed = weights.stat().st_size if weights.is_file() else 0
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SetupError(
            f"The converted model may need {needed // 10**6} MB in {folder}, "
            f"where {free // 10**6} MB are free."
        )
