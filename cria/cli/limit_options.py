"""The options of `cria serve` that say how much may be asked at once, and by one caller."""

from __future__ import annotations

import click

from cria.cli.options import COUNT, decorated_with, option
from cria.cli.params import FloatRange
from cria.config import ServerConfig

_SERVER = ServerConfig()

LIMITS = (
    option(
        "--max-queue",
        type=click.IntRange(0, 1_000_000),
        show_default="8 for each slot, at least 64",
        help="Sequences that may wait for a slot; what comes beyond is refused with a 429.",
    ),
    option(
        "--max-queue-tokens",
        type=click.IntRange(1, 2**53),
        show_default="what their contexts hold",
        help="Tokens of their prompts and longest answers together.",
    ),
    option(
        "--queue-timeout",
        type=FloatRange(0, 1_000_000, min_open=True),
        default=_SERVER.queue_timeout,
        help="Seconds that a request may wait for its beginning; then it is answered with a 503.",
    ),
    option(
        "--rate-limit-requests",
        type=COUNT,
        show_default="no limit",
        help="Requests a minute of each key that has no limit of its own; without keys, of all "
        "callers together.",
    ),
    option(
        "--rate-limit-tokens",
        type=COUNT,
        show_default="no limit",
        help="The same for tokens, of prompts and answers together.",
    ),
)

limit_options = decorated_with(LIMITS)
