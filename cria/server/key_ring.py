"""`KeyRing`: the keys that callers may have, from the command line and from a file."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Callable

from cria.access_key import AccessKey, digest_of
from cria.config import ServerConfig
from cria.errors import SetupError
from cria.server.key_file import read_keys

logger = logging.getLogger(__name__)

NOBODY = AccessKey("0" * 64)


def needs_key(config: ServerConfig) -> bool:
    """Whether callers need a key."""
    return bool(config.keys or config.key_file)


class KeyRing:
    """Looks keys up by their hashes; those of the file can be read again."""

    def __init__(self, config: ServerConfig, clock: Callable[[], float] = time.time) -> None:
        """SetupError if the file cannot be used."""
        self._fixed = config.keys
        self._path = config.key_file
        self._clock = clock
        self._is_needed = needs_key(config)
        self._keys = self._read()

    @property
    def is_needed(self) -> bool:
        """Whether callers need a key at all; an empty file lets nobody in."""
        return self._is_needed

    def find(self, secret: str) -> AccessKey | None:
        """The key, unless it is unknown or has expired.

        All are compared, each in constant time: how long it takes does not tell what came close.
        """
        digest = digest_of(secret)
        found = NOBODY
        for key in self._keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        if found is NOBODY or (found.expires is not None and found.expires <= self._clock()):
            return None
        return found

    def reload(self) -> None:
        """Read the file again; if it cannot be used, what was known before stays."""
        try:
            self._keys = self._read()
        except SetupError as error:
            logger.error("the keys stay as they were: %s", error)
        else:
            logger.info("%d keys", len(self._keys))

    def _read(self) -> tuple[AccessKey, ...]:
        return (*self._fixed, *(read_keys(self._path) if self._path else ()))
