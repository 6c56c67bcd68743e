"""Models in several files: `name-00001-of-00003.gguf` and its like."""

from __future__ import annotations

import re

_NAME = re.compile(
    r"(?P<stem>.+)-(?P<part>[0-9]{5})-of-(?P<count>(?!00000)[0-9]{5})\.gguf",
    re.DOTALL | re.IGNORECASE,
)
MAX_PARTS = 1000


def set_of(name: str) -> list[str]:
    """The names of all files of the set that one belongs to, the first one first; or just it."""
    match = _NAME.fullmatch(name)
    if match is None or int(match["count"]) > MAX_PARTS:
        return [name]
    suffix, count = name[match.end("count") :], int(match["count"])
    return [f"{match['stem']}-{i:05d}-of-{count:05d}{suffix}" for i in range(1, count + 1)]


def stem_of(name: str) -> str:
    """The name without its ending, and without what says which part it is."""
    match = _NAME.fullmatch(name)
    return match["stem"] if match else re.sub(r"\.gguf\Z", "", name, flags=re.IGNORECASE)
