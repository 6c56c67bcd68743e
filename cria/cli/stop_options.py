"""The options of how a server stops."""

from __future__ import annotations

from cria.cli.options import decorated_with, option
from cria.cli.params import FloatRange
from cria.config import ServerConfig

DAY = 86_400
_SERVER = ServerConfig()

STOPPING = (
    option(
        "drain_delay_seconds",
        "--drain-delay",
        type=FloatRange(0, DAY),
        default=_SERVER.drain_delay_seconds,
        metavar="SECONDS",
        help="How long requests are still served after SIGTERM, while health checks fail already: "
        "until a load balancer has noticed.",
    ),
    option(
        "drain_timeout_seconds",
        "--drain-timeout",
        type=FloatRange(0, DAY),
        default=_SERVER.drain_timeout_seconds,
        metavar="SECONDS",
        help="How long answers that have begun may take then; after Ctrl-C at most 5.",
    ),
)

stop_options = decorated_with(STOPPING)
