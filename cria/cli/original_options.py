"""Flags and variables of the original Cria that have no other place; `docs/original.md` has all.

1. What the original had and this server does not is refused with a sentence that says what to do
   instead, by the flag and by its variable.
2. Variables of tracing stand in everybody's compose file: these are a warning, so that the server
   starts.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from cria.cli.options import decorated_with, option
from cria.cli.params import Architecture

TOKENIZER = (
    "the tokenizer is in the model file, which is always used. Leave it out; if the file's own is "
    "wrong, convert the model again."
)
TRACING = (
    "this server does not send traces. Leave it out; GET /health has the engine's counters, and "
    "with timings=true each answer says what its time was spent on."
)
TRACING_VARIABLES = ("CRIA_ZIPKIN_ENDPOINT", "CRIA_SERVICE_NAME")


def warn(sentence: str) -> None:
    click.echo(f"Warning: {sentence}", err=True)


def _refuse(reason: str) -> Callable[..., None]:
    def refuse(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
        if value is None:
            return
        source = ctx.get_parameter_source(param.name or "")
        from_variable = source is click.core.ParameterSource.ENVIRONMENT
        name = str(param.envvar[0]) if from_variable and param.envvar else param.opts[0]
        raise click.UsageError(f"{name}: {reason}", ctx)

    return refuse


def _tell_architecture(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None and not value.lower().startswith("llama"):
        warn(f"{param.opts[0]} {value} decides nothing: the model file says itself what it holds.")


def _refuse_tracing(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Called once for a command, whatever is given: so the variables are looked at here."""
    _refuse(TRACING)(ctx, param, value)
    for name in TRACING_VARIABLES:
        if os.environ.get(name):
            warn(f"{name} has no effect: {TRACING}")


def refused(*names: str, reason: str, **settings: Any) -> Callable[..., Any]:
    """An option that only says why it is not there."""
    return option(
        *names,
        hidden=True,
        expose_value=False,
        callback=_refuse(reason),
        help="Of the original.",
        **settings,
    )


ORIGINAL = (
    option(
        "--model-architecture",
        "-a",
        type=Architecture(),
        expose_value=False,
        callback=_tell_architecture,
        help="Accepted from users of the original; the file itself names its architecture.",
    ),
    refused("--tokenizer-path", "-v", reason=TOKENIZER),
    refused("--tokenizer-repository", "-r", reason=TOKENIZER),
    click.option(
        "--zipkin-endpoint",
        "-z",
        hidden=True,
        expose_value=False,
        callback=_refuse_tracing,
        help="Of the original.",
    ),
)

original_options = decorated_with(ORIGINAL)
