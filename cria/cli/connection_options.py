"""The options of `cria serve` about connections: how many, how long, how much."""

from __future__ import annotations

from typing import Any

import click

from cria.cli.options import decorated_with, option
from cria.cli.params import FloatRange
from cria.config import ServerConfig

MEBIBYTE = 1024 * 1024
SECONDS = FloatRange(0.1, 86_400)

_SERVER = ServerConfig()


class Mebibytes(FloatRange):
    """A number of MiB for a number of bytes."""

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        return round(super().convert(value, param, ctx) * MEBIBYTE)


CONNECTIONS = (
    option(
        "--max-connections",
        type=click.IntRange(1, 1_000_000),
        default=_SERVER.max_connections,
        help="Connections that a process serves at once. For one more, the longest idle one ends, "
        "or the new one is refused with a 503.",
    ),
    option(
        "max_body_bytes",
        "--max-body-mb",
        type=Mebibytes(0.001, 4096),
        default=_SERVER.max_body_bytes // MEBIBYTE,
        help="Size of a request's body at most; a larger one is a 413.",
    ),
    option(
        "--header-timeout",
        type=SECONDS,
        default=_SERVER.header_timeout,
        help="Seconds for the headers of a request to come; then it is a 408.",
    ),
    option(
        "--body-timeout",
        type=SECONDS,
        default=_SERVER.body_timeout,
        help="Seconds of silence within a request's body; then it is a 408. All of it may take "
        "four times as long, and a second more for every 64 KiB.",
    ),
    option(
        "--idle-timeout",
        type=SECONDS,
        default=_SERVER.idle_timeout,
        help="Seconds until a connection on which nothing is asked is closed.",
    ),
    option(
        "--write-timeout",
        type=SECONDS,
        default=_SERVER.write_timeout,
        help="Seconds until a client that takes nothing of its answer counts as gone.",
    ),
)

connection_options = decorated_with(CONNECTIONS)
