"""How far a fetch or a conversion is, on standard error.

A bar on a terminal, a few plain lines elsewhere.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

Progress = Callable[[int, int], None]

BAR_WIDTH = 30
LINE_EVERY = 0.25
MEGABYTE = 1_000_000


def make_progress(name: str, verb: str = "Fetching") -> Progress:
    """A function of the bytes that have come and the bytes that will come."""
    what = f"{verb} {name}"
    return _bar(what) if sys.stderr.isatty() else _lines(what)


def _bar(what: str) -> Progress:
    def report(done: int, total: int) -> None:
        filled = BAR_WIDTH * done // total
        bar = "#" * filled + "-" * (BAR_WIDTH - filled)
        end = done >= total
        click.echo(f"\r{what} [{bar}] {_sizes(done, total)}", nl=end, err=True)

    return report


def _lines(what: str) -> Progress:
    next_share = 0.0

    def report(done: int, total: int) -> None:
        nonlocal next_share
        if done / total >= next_share:
            click.echo(f"{what}: {_sizes(done, total)}", err=True)
            next_share = done / total + LINE_EVERY

    return report


def _sizes(done: int, total: int) -> str:
    return f"{done // MEGABYTE} of {total // MEGABYTE} MB"
