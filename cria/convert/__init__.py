"""Models in other formats to GGUF files, without the libraries that trained them.

`convert` looks at what it is given and calls the module that knows it; a further format is one more
module. Needs the package `gguf`, which the extra `convert` brings.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from pathlib import Path

from cria.convert.source import opened
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
        with opened(source) as folder, tempfile.TemporaryDirectory(dir=target.parent) as work:
            draft = Path(work) / target.name
            convert_bert(folder, draft)
            os.replace(draft, target)
    except OSError as error:
        name = error.filename or target
        raise SetupError(f"{name} cannot be read or written: {error.strerror}.") from error
