"""How many connections the process has file descriptors for."""

from __future__ import annotations

import logging
import resource

logger = logging.getLogger(__name__)

RESERVED = 64
"""For the engine's link, stored responses, logs and what a request opens."""


def connections_that_fit(wanted: int) -> int:
    """Raise the limit of open files as far as `wanted` connections need, and say how many fit."""
    limit = raise_limit(wanted + RESERVED)
    fitting = max(1, min(wanted, limit - min(RESERVED, limit // 2)))
    if fitting < wanted:
        logger.warning(
            "%d connections are served at once instead of %d: a process may open %d files here",
            fitting,
            wanted,
            limit,
        )
    return fitting


def raise_limit(needed: int) -> int:
    """The limit now; never lowered, never beyond what the system allows without privileges."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return needed if soft == resource.RLIM_INFINITY else soft
    target = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    except (OSError, ValueError) as error:
        logger.warning("the limit of open files stays at %d: %s", soft, error)
        return soft
    return target
