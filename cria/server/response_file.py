"""Where responses are kept: the operator's file, or a private one that goes with the server.

The private one is in a folder of its own, which is locked for as long as its server lives: what a
server that was killed has left is removed by the next one, or by its own further processes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager

import msgspec

from cria.answer_store.database import Database
from cria.config import ServerConfig

PREFIX = "cria-responses-"
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
        remove_left_over()
        with _locked_folder() as folder:
            path = os.path.join(folder, FILE_NAME)
            yield msgspec.structs.replace(config, response_store=path)


def remove_private(path: str) -> None:
    """The private file of a server that has ended, with its folder."""
    shutil.rmtree(os.path.dirname(path), ignore_errors=True)


def remove_left_over() -> None:
    """Folders of servers that could not remove them any more."""
    parent = tempfile.gettempdir()
    for name in os.listdir(parent):
        if name.startswith(PREFIX):
            with contextlib.suppress(OSError):  # another user's, or in use
                folder = os.path.join(parent, name)
                os.close(_lock(folder))
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked_folder() -> Generator[str, None, None]:
    while True:
        folder = tempfile.mkdtemp(prefix=PREFIX)  # nobody else may look into it
        # Between these lines another server may take it for one that is left over.
        with contextlib.suppress(OSError):
            lock = _lock(folder)
            if os.path.exists(folder):
                break
            os.close(lock)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _lock(folder: str) -> int:
    """OSError if somebody else has the lock, or if it is none: opening a pipe would not end."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file
