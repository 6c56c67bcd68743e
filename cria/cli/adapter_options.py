"""The options of `cria serve` about adapters and control vectors."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import click

from cria.adapter_set import MAX_SCALE
from cria.cli.options import decorated_with, option
from cria.cli.params import ParamType
from cria.config import Adapter, ControlVector

_SCALED = re.compile(r"(?P<path>.+):(?P<scale>[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)", re.DOTALL)
_NAMED = re.compile(r"(?P<name>[A-Za-z0-9_.-]{1,64})=(?P<rest>.+)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Files(ParamType):
    """`PATH` or `PATH:SCALE`; several are separated by commas."""

    def __init__(self, *, named: bool) -> None:
        self._named = named
        self.name = "[NAME=]FILE[:SCALE]" if named else "FILE[:SCALE]"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(self._one(word.strip(), param, ctx) for word in value.split(","))

    def _one(self, word: str, param: Any, ctx: Any) -> Adapter | ControlVector:
        name, path = None, word
        if self._named and (match := _NAMED.fullmatch(word)) and not Path(word).exists():
            name, path = match["name"], match["rest"]
        scale = 1.0
        if (match := _SCALED.fullmatch(path)) and not Path(path).exists():
            path, scale = match["path"], self._scale(match["scale"], param, ctx)
        if not path:
            self.fail(f"{word!r} names no file.", param, ctx)
        path = str(Path(path).absolute())
        if not self._named:
            return ControlVector(path, scale)
        name = name or Path(path).stem
        if not _NAME.fullmatch(name):
            self.fail(f"{name!r} is no name for requests: say NAME={path}.", param, ctx)
        return Adapter(path, name, scale)

    def _scale(self, text: str, param: Any, ctx: Any) -> float:
        try:
            scale = float(text)
        except ValueError:
            scale = math.nan
        if not abs(scale) <= MAX_SCALE:
            self.fail(f"{text!r} is no scale from -{MAX_SCALE:g} to {MAX_SCALE:g}.", param, ctx)
        return scale


def _flat(_context: Any, _parameter: Any, given: tuple[tuple[Any, ...], ...]) -> tuple[Any, ...]:
    """The options' lists as one; two adapters of one name would be a riddle."""
    found = tuple(each for several in given for each in several)
    names = [each.name for each in found if isinstance(each, Adapter)]
    if twice := {name for name in names if names.count(name) > 1}:
        raise click.BadParameter(f"two adapters are called {min(twice)!r}: say NAME=FILE.")
    return found


ADAPTERS = (
    option(
        "adapters",
        "--lora-adapters",
        "--lora",
        "-l",
        type=Files(named=True),
        multiple=True,
        callback=_flat,
        show_default="none",
        help="GGUF file of a LoRA adapter, and how strongly it acts; several with commas, or "
        "given several times. Requests ask for it as MODEL:NAME.",
    ),
    option(
        "--lora-init-without-apply",
        is_flag=True,
        show_default=False,
        help="Adapters act on no request that does not ask for them.",
    ),
    option(
        "--lora-folder",
        type=click.Path(exists=True, file_okay=False),
        metavar="FOLDER",
        show_default="none: callers load nothing",
        help="Folder below which callers may load adapters, with POST /v1/load_lora_adapter.",
    ),
    option(
        "control_vectors",
        "--control-vector",
        type=Files(named=False),
        multiple=True,
        callback=_flat,
        show_default="none",
        help="GGUF file of a control vector, and how strongly it acts, on all requests; several "
        "as with --lora.",
    ),
    option(
        "control_vector_layers",
        "--control-vector-layer-range",
        type=click.IntRange(1, 10_000),
        nargs=2,
        metavar="FIRST LAST",
        show_default="all",
        help="Layers on which control vectors act, both included.",
    ),
)

adapter_options = decorated_with(ADAPTERS)
