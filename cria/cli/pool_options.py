"""The options of `cria serve` that say how models share a server."""

from __future__ import annotations

import re
from typing import Any

import click

from cria.cli.options import COUNT, decorated_with, option

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


class Duration(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Seconds, or a number with a unit: `90`, `5m`, `1h`."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smh]?)", str(value))
        if found is None:
            self.fail(f"{value!r} is no time such as 90, 5m or 1h.", param, ctx)
        return float(found[1]) * UNITS[found[2]]


POOL = (
    option(
        "--max-loaded-models",
        type=COUNT,
        show_default="as many as fit into memory",
        help="Models that are loaded at the same time; further ones are loaded when they are asked "
        "for, and the one that was used longest ago is unloaded.",
    ),
    option(
        "--keep-alive",
        type=Duration(),
        metavar="TIME",
        show_default="until the memory is needed",
        help="How long a model without requests stays loaded, in seconds, or with a unit: 5m, 1h.",
    ),
)

pool_options = decorated_with(POOL)
