"""End a server with the program that has started it, however that ends.

The program holds the other end of our standard input; the kernel closes it for a program that was
killed. It works on every platform, and whatever the server is doing: a native thread waits.
"""

from __future__ import annotations

import _thread
import os
import signal

import click

from cria.cli.options import decorated_with, option

READ_BYTES = 4096


def _begin(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    # Not `threading`: the server will make its threads greenlets, and asks what is running then.
    if value:
        _thread.start_new_thread(end_with, (0,))


def end_with(descriptor: int) -> None:
    """SIGTERM to this process, which drains then, when nobody can write there any more."""
    try:
        while os.read(descriptor, READ_BYTES):
            pass
    except OSError:  # as it is closed already
        pass
    os.kill(os.getpid(), signal.SIGTERM)


LIFELINE = (
    option(
        "--end-with-stdin",
        is_flag=True,
        show_default=False,
        expose_value=False,
        callback=_begin,
        help="End when standard input does: for programs that start a server for themselves.",
    ),
)

lifeline_options = decorated_with(LIFELINE)
