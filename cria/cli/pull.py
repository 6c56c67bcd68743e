"""`cria pull`: fetch a model now, so that serving it later needs no network."""

from __future__ import annotations

import click

from cria.cli import printable
from cria.cli.progress import make_progress
from cria.model_store import resolve


@click.command("pull", short_help="Fetch a model.")
@click.argument("model")
def command(model: str) -> None:
    """Fetch MODEL: a known name, hf:ORG/REPOSITORY[:QUANTISATION or :FILE], or the address of a
    GGUF file.

    What broke off goes on where it was. What is here already is checked, and not fetched again.
    """
    path = resolve(model, make_progress(model))
    click.echo(printable(str(path)))
