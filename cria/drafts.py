"""`drafted`: files that are there under their names only when they are whole.

1. A draft is written into a folder beside its target, then renamed; both file and folder are
   flushed to the disk before and after.
2. One process at a time drafts a target: the others wait, and find what the first has made.
3. What a killed process has left is removed by the next one that drafts the same target, or, if it
   resumes, taken over.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

POLL_SECONDS = 0.1


@contextmanager
def drafted(target: Path, *, resume: bool = False) -> Iterator[Path]:
    """The path to write to, alone in a folder for whatever else is needed meanwhile.

    It becomes `target` when the block ends without an exception; nothing does if nothing is there.
    With `resume` the folder stays as it is if the block fails, for the next one to go on with.
    OSError if the disk does not bear it.
    """
    folder = draft_folder(target)
    lock = _lock(folder)
    is_done = False
    try:
        if not resume:
            _empty(folder)
        draft = folder / target.name
        yield draft
        if draft.exists():
            flush(draft)
            os.replace(draft, target)
            flush(target.parent)
        is_done = True
    finally:
        if is_done or not resume:
            shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def draft_folder(target: Path) -> Path:
    """Where the file is made."""
    return target.parent / f".{target.name}.draft"


def left_drafts(folder: Path) -> list[Path]:
    """The folders below `folder` that drafts have left, or are being made in."""
    return sorted(path for path in folder.rglob(".*.draft") if path.is_dir())


def remove_draft(folder: Path) -> bool:
    """Remove what a draft has left; False if somebody is at it. OSError if it cannot be done."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return True
    try:
        if not _is_locked(descriptor):
            return False
        shutil.rmtree(folder)
    finally:
        os.close(descriptor)
    return True


def _lock(folder: Path) -> int:
    """Make the folder, and lock it: a descriptor that holds the lock."""
    while True:
        with suppress(FileExistsError):
            folder.mkdir()
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue  # the one before has just removed it
        if _is_locked(descriptor) and _is_at(descriptor, folder):
            return descriptor
        os.close(descriptor)
        # In steps: a signal has to be heard meanwhile.
        time.sleep(POLL_SECONDS)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, folder: Path) -> bool:
    """Whether the folder is still the one that was opened."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(folder))
    except FileNotFoundError:
        return False


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def flush(path: Path) -> None:
    """Have the disk know a file, or what is in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
