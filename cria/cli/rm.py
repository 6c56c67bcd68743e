"""`cria rm`: remove a model that was fetched."""

from __future__ import annotations

import click

from cria.cli import printable
from cria.errors import ModelFileError
from cria.model_store.library import kept_models, remove


@click.command("rm", short_help="Remove a model that was fetched.")
@click.argument("model")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def command(model: str, yes: bool) -> None:
    """Remove MODEL, by its name in `cria list`: all of its files, and what is left of a fetch.

    Only what Cria has fetched is removed, nothing of Ollama's and no file of your own.
    """
    found = [kept for kept in kept_models() if model in (kept.name, str(kept.path))]
    if found and not yes:
        size = f"{found[0].num_bytes / 1e6:,.0f} MB"
        click.confirm(f"Remove {printable(str(found[0].path))} ({size})?", abort=True)
    if model.startswith("ollama:"):
        raise ModelFileError(f"{model} is Ollama's; `ollama rm` removes it.")
    kept = remove(model)
    click.echo(f"Removed {printable(str(kept.path))}.")
