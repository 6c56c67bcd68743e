"""Ids of responses and of their items; nobody can guess one."""

from __future__ import annotations

import secrets

NUM_BYTES = 24


def new_id(prefix: str) -> str:
    """`resp`, `msg`, `rs`, `fc` or `ctc`, and 48 hexadecimal digits."""
    return f"{prefix}_{secrets.token_hex(NUM_BYTES)}"
