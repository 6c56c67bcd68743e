"""Where responses are kept: the operator's file, or a private one that goes with the server."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager

import msgspec

from cria.answer_store.database import Database
from cria.config import ServerConfig

FILE_NAME = "responses.sqlite"


@contextmanager
def kept_responses(config: ServerConfig) -> Generator[ServerConfig, None, None]:
    """The settings with the file's name; SetupError, before anything is loaded, if it is no store.

    Every server process opens it on its own; a private one is removed at the end.
    """
    if config.response_store is None:
        yield config
    elif config.response_store:
        Database(config.response_store).close()
        yield config
    else:
        folder = tempfile.mkdtemp(prefix="cria-")  # nobody else may look into it
        try:
            path = os.path.join(folder, FILE_NAME)
            yield msgspec.structs.replace(config, response_store=path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
