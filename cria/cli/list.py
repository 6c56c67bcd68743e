"""`cria list`: the models that were fetched."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from cria.cli import printable
from cria.errors import ModelFileError
from cria.model_file import check_model_files
from cria.model_file.description import describe_file
from cria.model_store.library import Kept, kept_models

HEAD = ("name", "size", "weights", "fetched")


@click.command("list", short_help="List the models that were fetched.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, sizes in bytes.")
def command(as_json: bool) -> None:
    """List the models that Cria has fetched, by the names under which it serves them."""
    facts = [facts_of(kept) for kept in kept_models()]
    if as_json:
        click.echo(msgspec.json.encode(facts).decode())
        return
    rows = [HEAD, *map(row_of, facts)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    for row in rows:
        click.echo(aligned(row, widths))


def facts_of(kept: Kept) -> dict[str, Any]:
    """What is told of one model; a damaged one says so."""
    try:
        weights = describe_file(check_model_files(kept.path)).quantisation
    except ModelFileError:
        weights = "damaged"
    return {
        "name": kept.name,
        "path": str(kept.path),
        "num_files": len(kept.files),
        "num_bytes": kept.num_bytes,
        "quantisation": weights,
        "fetched": int(kept.fetched),
    }


def row_of(facts: dict[str, Any]) -> tuple[str, ...]:
    day = time.strftime("%Y-%m-%d", time.localtime(facts["fetched"]))
    size = f"{facts['num_bytes'] / 1e6:,.0f} MB"
    return printable(facts["name"]), size, facts["quantisation"], day


def aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
