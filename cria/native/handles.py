"""Ownership of native objects: one class, used by every noun of this package."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from cria.errors import NativeError


class NativeHandle:
    """A pointer that this object owns, freed exactly once.

    `close()` is idempotent. A child keeps its parent alive by a reference, and the finalizer holds
    neither, so the order of garbage collection is the right one: children first. Handing a closed
    handle to C is a NativeError, not a use after free.
    """

    def __init__(self, pointer: Any, free: Callable[[Any], None]) -> None:
        self._pointer = pointer
        # The finalizer must not refer to self, or self would never be collected.
        self._finalizer = weakref.finalize(self, free, pointer)

    @property
    def pointer(self) -> Any:
        """The C pointer, for calls into the library."""
        if not self._finalizer.alive:
            raise NativeError(f"{type(self).__name__} is closed")
        return self._pointer

    @property
    def closed(self) -> bool:
        return not self._finalizer.alive

    def close(self) -> None:
        """Free the native object; later calls do nothing."""
        self._finalizer()
