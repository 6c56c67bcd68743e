"""`TomlTable`: one table of the configuration file, read key by key.

Whatever is wrong is one sentence (`SetupError`) that names the file, the table and the key.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from cria.api.setting_values import suggestion
from cria.errors import SetupError, shown_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES = 4 * 1024 * 1024
MAX_COUNT = 2**31 - 1

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhd])")


class TomlTable:
    """A table by its name, such as `models.small`; the file itself has none."""

    def __init__(self, path: Path, name: str, content: dict[str, Any]) -> None:
        self.path, self.name = path, name
        self._content = content

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def __getitem__(self, key: str) -> Any:
        return self._content[key]

    @property
    def content(self) -> dict[str, Any]:
        """All of it, as TOML has it."""
        return self._content

    def error(self, key: str, reason: str) -> SetupError:
        """The sentence about a key."""
        table = f"[{shown_name(self.name)}] " if self.name else ""
        return SetupError(f"{self.path}: {table}{shown_name(key)}: {reason}")

    def check_keys(self, known: Collection[str], what: str = "setting") -> None:
        """Raise for the first key that is none of these."""
        for key in self._content:
            if key not in known:
                near = suggestion(key, frozenset(known))
                raise self.error(key, f"there is no such {what}{near}")

    def table(self, key: str) -> TomlTable:
        """The table under the key; an empty one if there is none."""
        content = self._content.get(key, {})
        if not isinstance(content, dict):
            raise self.error(key, f"this has to be a table, not {kind_of(content)}.")
        return TomlTable(self.path, f"{self.name}.{key}" if self.name else key, content)

    def text(self, key: str) -> str | None:
        """None if the key is absent, as for all that follow."""
        value = self._content.get(key)
        if value is not None and not isinstance(value, str):
            raise self.error(key, f"this has to be a text, not {kind_of(value)}.")
        return value

    def flag(self, key: str) -> bool | None:
        value = self._content.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.error(key, f"this has to be true or false, not {kind_of(value)}.")
        return value

    def count(self, key: str) -> int | None:
        """A whole number from 1 on."""
        value = self._content.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_COUNT:
            raise self.error(key, f"this has to be a whole number from 1 to {MAX_COUNT}.")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """An array of texts; none of them if the key is absent."""
        value = self._content.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.error(key, "this has to be an array of texts.")
        return tuple(value)

    def duration(self, key: str) -> float | None:
        """Seconds, or a text such as `5m` or `1h30m`."""
        value = self._content.get(key)
        if value is None:
            return None
        seconds = _seconds(value)
        if seconds is None:
            raise self.error(key, "this has to be seconds, or a text such as '5m' or '1h30m'.")
        return seconds


def read_toml(path: Path) -> TomlTable:
    """The whole file; SetupError if it cannot be read or is no TOML."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no path"
        raise SetupError(f"Cannot read the configuration file {path}: {reason}.") from error
    if len(data) > MAX_BYTES:
        raise SetupError(f"{path}: this is too large for a configuration file.")
    return parse_toml(path, data)


def parse_toml(path: Path, data: bytes) -> TomlTable:
    """The same of its bytes."""
    try:
        return TomlTable(path, "", tomllib.loads(data.decode()))
    except UnicodeDecodeError as error:
        raise SetupError(f"{path}: this is no UTF-8 (at byte {error.start}).") from error
    except ValueError as error:  # also of numbers that are too long to be read
        raise SetupError(f"{path}: {shown_name(str(error)).rstrip('.')}.") from error
    except RecursionError as error:
        raise SetupError(f"{path}: this is nested too deeply.") from error


def kind_of(value: object) -> str:
    """What TOML calls it."""
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text"}
    names |= {dict: "a table", list: "an array"}
    return names.get(type(value), "a date")


def _seconds(value: object) -> float | None:
    if isinstance(value, str):
        parts = _DURATION.findall(value)
        if not parts or "".join(map("".join, parts)) != value:
            return None
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value <= MAX_COUNT else None
