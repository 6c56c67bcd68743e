"""The options that `cria run` and `cria chat` share, and whom they ask."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from cria.cli.options import decorated_with, option
from cria.cli.params import Word
from cria.cli.progress import make_progress
from cria.client.address import root_of
from cria.client.api import Api
from cria.client.local_server import LocalServer
from cria.client.target import Target
from cria.model_store import resolve

EXIT_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Key(Word):
    """The first one, where the variable has several for a server."""

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        return super().convert(str(value).partition(",")[0], param, ctx)


CLIENT = (
    option(
        "--url",
        metavar="URL",
        show_default="start a server for MODEL",
        help="Ask the server there; MODEL is then a name that it knows.",
    ),
    option(
        "--api-key",
        type=Key("KEY"),
        help="Sent to --url. Better set in the environment.",
    ),
    click.option("--system", metavar="TEXT", help="How the model shall answer."),
)

client_options = decorated_with(CLIENT)


@contextmanager
def asked(model: str | None, url: str | None, api_key: str | None) -> Iterator[Target]:
    """Whom to ask, for as long as the block takes; a server of our own goes with it."""
    if url is not None:
        api = Api(root_of(url), api_key)
        try:
            yield Target(lambda: api, model)
        finally:
            api.close()
        return
    if model is None:
        raise click.UsageError("Say which MODEL, or which server with --url.")
    # Here, where it shows how far it is; the server finds what has been fetched.
    resolve(model, make_progress(model))
    server = LocalServer(model)
    try:
        yield Target(server.api, None)
    finally:
        server.close()


@contextmanager
def orderly_end() -> Iterator[None]:
    """SIGTERM and SIGHUP unwind, so that terminal and server are left in order; Ctrl-C is 130."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    for number in EXIT_SIGNALS:
        signal.signal(number, leave)
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
