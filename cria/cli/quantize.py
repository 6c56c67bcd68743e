"""`cria quantize`: a model file with fewer bits a weight."""

from __future__ import annotations

from pathlib import Path

import click

from cria.cli import printable
from cria.cli.options import THREADS
from cria.cli.progress import make_progress
from cria.cli.show import path_of
from cria.model_file import check_model_files
from cria.model_file.description import describe_file
from cria.quantize import NUMBERS, Job, Wishes, quantize

TYPES = click.Choice(sorted(NUMBERS), case_sensitive=False)


@click.command("quantize", short_help="Make a model file with fewer bits a weight.")
@click.argument("source")
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False), metavar="OUT.gguf")
@click.argument("type", type=TYPES, metavar="TYPE")
@click.option("--allow-requantize", is_flag=True, help="Also from weights that have lost bits.")
@click.option("--leave-output-tensor", is_flag=True, help="Keep the last layer as it is.")
@click.option("--pure", is_flag=True, help="No better types for the tensors that matter most.")
@click.option("--threads", type=THREADS, default=None, help="Threads.  [default: all cores]")
@click.option("--force", is_flag=True, help="Replace OUT.gguf if it exists.")
def command(
    source: str,
    target: Path,
    type: str,
    threads: int | None,
    force: bool,
    **flags: bool,
) -> None:
    """Write OUT.gguf from the model SOURCE, with weights of TYPE: Q4_K_M, Q8_0, F16 and so on.

    The best start is a file with F16, BF16 or F32.
    """
    if target.exists() and not force:
        raise click.UsageError(f"{target} exists; --force replaces it.")
    path = path_of(source)
    job = Job(str(path), str(target), Wishes(NUMBERS[type], threads or 0, **flags))
    quantize(job, make_progress(path.name, "Quantising"))
    made = describe_file(check_model_files(target))
    bits = 8 * made.num_bytes / made.num_parameters
    size = f"{made.num_bytes / 1e6:,.0f} MB, {bits:.2f} bits a weight"
    click.echo(printable(f"{target}: {made.quantisation}, {size}"))
