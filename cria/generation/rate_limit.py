"""So many a minute: the generic cell rate algorithm, of one number for each limit.

1. That number is the time at which all that was taken would be earned again, at an even rate. What
   lies more than a minute ahead may not be taken: a caller that has been quiet may take a whole
   minute's worth at once.
2. All times are in seconds of any one clock that only goes forward.
"""

from __future__ import annotations

import math

PERIOD = 60.0


def seconds_until(earned: float, now: float, amount: int, limit: int) -> float:
    """How long until so much may be taken; 0 for now.

    What is more than a minute's worth waits for a full minute, and is paid for afterwards.
    """
    ahead = max(earned, now) - now + _worth(min(amount, limit), limit)
    # What is left of a sum of fractions is no reason to wait.
    return max(0.0, ahead - PERIOD) if ahead - PERIOD > 1e-6 else 0.0


def taken(earned: float, now: float, amount: int, limit: int) -> float:
    """The number after so much was taken, or, below 0, given back."""
    return max(earned, now) + _worth(amount, limit)


def remaining(earned: float, now: float, limit: int) -> int:
    """How much may be taken at once."""
    ahead = max(0.0, earned - now)
    return max(0, min(limit, math.floor((PERIOD - ahead) / PERIOD * limit + 1e-6)))


def seconds_until_full(earned: float, now: float) -> float:
    """How long until nothing is missing."""
    return max(0.0, earned - now)


def duration(seconds: float) -> str:
    """As OpenAI's headers have it: `12ms`, `1s`, `1.5s`, `6m0s`, `1h0m0s`."""
    milliseconds = math.ceil(seconds * 1000 - 1e-6)
    if milliseconds <= 0:
        return "0s"
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    shown = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if not minutes:
        return shown
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{shown}" if hours else f"{minutes}m{shown}"


def _worth(amount: int, limit: int) -> float:
    return amount * PERIOD / limit
