"""The file of keys: one a line, by itself or by its hash, and what it may.

# key or sha256:hash, then any of these
sk-example name=alice expires=2027-01-31
sha256:9f86d0... name=rag models=smollm2,other requests_per_minute=60 max_concurrent=4
"""

from __future__ import annotations

import datetime
import logging
import re
import stat
from pathlib import Path
from typing import Any

import msgspec

from cria.access_key import NAME, AccessKey, digest_of
from cria.errors import SetupError

logger = logging.getLogger(__name__)

HASH = "sha256:"
NUMBERS = ("requests_per_minute", "tokens_per_minute", "max_concurrent")

_HEX = re.compile(r"[0-9a-f]{64}")
_COUNT = re.compile(r"[1-9][0-9]{0,9}")


class _BadLine(ValueError):
    """The end of a sentence about a line; it never holds a key."""


def read_keys(path: str) -> list[AccessKey]:
    """All keys of the file; SetupError names the line that makes no sense, not the key in it."""
    try:
        mode = Path(path).stat().st_mode
        if stat.S_ISFIFO(mode):
            raise ValueError  # it would be waited for
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no file of text"
        raise SetupError(f"--api-key-file {path} cannot be read: {reason}.") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        logger.warning("%s is open to other users of this machine: chmod 600", path)
    keys: dict[str, AccessKey] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if words and not words[0].startswith("#"):
            try:
                key = _key(words)
                if key.sha256 in keys:
                    raise _BadLine("it has the key of a line before")
            except _BadLine as error:
                raise SetupError(f"--api-key-file {path}, line {number}: {error}.") from None
            keys[key.sha256] = key
    return list(keys.values())


def _key(words: list[str]) -> AccessKey:
    settings: dict[str, Any] = {}
    for word in words[1:]:
        name, is_setting, value = word.partition("=")
        if not is_setting or name in settings:
            raise _BadLine("after the key come settings such as name=alice, each once")
        settings[name] = _setting(name, value)
    return msgspec.structs.replace(AccessKey(_digest(words[0])), **settings)


def _digest(word: str) -> str:
    if not word.startswith(HASH):
        return digest_of(word)
    digest = word.removeprefix(HASH).lower()
    if not _HEX.fullmatch(digest):
        raise _BadLine(f"{HASH} is followed by 64 hexadecimal digits")
    return digest


def _setting(name: str, value: str) -> Any:
    if name == "name" and NAME.fullmatch(value):
        return value
    if name == "expires":
        return _end_of(value)
    if name == "models" and all(value.split(",")):
        return tuple(value.split(","))
    if name in NUMBERS and _COUNT.fullmatch(value):
        return int(value)
    known = ", ".join(("name", "expires", "models", *NUMBERS))
    if name not in known.split(", "):
        # Neither is repeated: a key may stand where a setting should.
        raise _BadLine(f"after the key there is something else than {known}")
    raise _BadLine(f"{name} cannot have this value")


def _end_of(day: str) -> float:
    """Midnight UTC at a day's end, or a moment of it."""
    try:
        moment = datetime.datetime.fromisoformat(day)
        if len(day) <= len("2027-01-31"):
            moment += datetime.timedelta(days=1)
        return moment.replace(tzinfo=moment.tzinfo or datetime.timezone.utc).timestamp()
    except (ValueError, OverflowError):
        raise _BadLine("expires is no date such as 2027-01-31") from None
