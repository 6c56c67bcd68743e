"""`cria bench`: options to subjects and loads, measurements to tables and files."""

from __future__ import annotations

import secrets
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from cria.bench import plot, report
from cria.bench.engine_limit import EngineLimit
from cria.bench.pool import WorkerPool
from cria.bench.results import Results, Run, Subject, failures, save
from cria.bench.rounds import Measurable, measure_load
from cria.bench.server import Server, find_model
from cria.bench.settings import Load, Settings
from cria.cli.bench_options import bench_options
from cria.cli.progress import make_progress
from cria.client.address import root_of
from cria.config import EngineConfig
from cria.errors import SetupError
from cria.model_store import resolve

SHOWN_FAILURES = 5
MAX_SEQUENCES = 256
"""That one context of llama.cpp holds."""


@click.command("bench", short_help="Load a server and measure it.")
@click.argument("url", required=False)
@bench_options
def command(url: str | None, **options: Any) -> None:
    """Load the OpenAI server at URL and measure its speed.

    Works with Cria, llama-server, vLLM, llama-cpp-python and others that stream /v1/completions.
    Exits with 1 if a request failed.
    """
    check_options(url, options)
    check_files(options["output"], options["plot"])
    settings = make_settings(options)
    with ExitStack() as stack:
        subjects, places = make_subjects(stack, url, options)
        for subject in subjects:
            subject.check(settings)
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        results = Results(started, places, settings)
        click.echo(report.legend(places))
        try:
            measure(subjects, make_loads(options), results, stack.enter_context(WorkerPool()))
        finally:  # what is complete is kept, also if the rest is interrupted
            write_files(results, options)
    tell_failures(results)


def check_options(url: str | None, options: dict[str, Any]) -> None:
    """What contradicts itself is told before anything is started."""
    if url is None and options["engine"] is None:
        raise click.UsageError("Give the URL of a server, or --engine with a model, or both.")
    if url is None and options["vs"] is not None:
        raise click.UsageError("--vs needs a server to compare with: give its URL first.")
    if options["engine"] and max(options["clients"], default=0) > MAX_SEQUENCES:
        raise click.UsageError(
            f"llama.cpp computes {MAX_SEQUENCES} sequences at once at most: --engine does not go "
            f"with --clients {max(options['clients'])}."
        )
    if options["rates"] and options["long_prompt"]:
        raise click.UsageError("--long-prompt waits for clients; it does not go with --rate.")
    if options["rates"] and options["engine"]:
        raise click.UsageError("The raw limit has no arrivals; --engine does not go with --rate.")
    if not options["prompt_words"] + options["shared_words"]:
        raise click.UsageError("A prompt needs words: --prompt-words or --shared-words.")


def check_files(output: Path | None, picture: Path | None) -> None:
    """A place that cannot be written to is an error before the measurement, not after it."""
    if picture is not None:
        plot.check(picture)
    for path in (output, picture):
        if path is not None and not path.absolute().parent.is_dir():
            raise SetupError(f"Cannot write {path}: there is no folder {path.absolute().parent}.")


def make_settings(options: dict[str, Any]) -> Settings:
    seed = secrets.randbits(32) if options["seed"] is None else options["seed"]
    fields = {n: options[n] for n in Settings.__struct_fields__ if n != "seed"}
    return Settings(**fields, seed=seed)


def make_loads(options: dict[str, Any]) -> list[Load]:
    if options["rates"]:
        return [Load(rate=rate) for rate in options["rates"]]
    return [Load(clients=clients) for clients in options["clients"]]


def make_subjects(
    stack: ExitStack, url: str | None, options: dict[str, Any]
) -> tuple[list[Measurable], list[Subject]]:
    """What is measured, and what it is called; the stack ends what was started."""
    subjects: list[Measurable] = []
    places = []
    for name, address, prefix in (("A", url, ""), ("B", options["vs"], "vs_")):
        if address is not None:
            server = make_server(
                name, address, options[f"{prefix}model"], options[f"{prefix}api_key"]
            )
            subjects.append(server)
            places.append(Subject(name, server.url, server.model))
    if options["engine"] is not None:
        config = make_engine_config(options)
        subjects.append(stack.enter_context(EngineLimit(config)))
        places.append(Subject(EngineLimit.name, config.model_path, config=config))
    return subjects, places


def make_server(name: str, url: str, model: str | None, api_key: str | None) -> Server:
    root = root_of(url)
    return Server(name, root, model or find_model(root, api_key), api_key)


def make_engine_config(options: dict[str, Any]) -> EngineConfig:
    spec = options["engine"]
    return EngineConfig(
        model_path=str(resolve(spec, make_progress(spec))),
        num_threads=options["threads"],
        num_gpu_layers=options["gpu_layers"],
        kv_layout=options["kv"],
    )


def measure(
    subjects: list[Measurable], loads: list[Load], results: Results, pool: WorkerPool
) -> None:
    """Load by load, each with its table as soon as it is known."""
    settings = results.settings
    for load in loads:

        def tell(run: Run, load: Load = load) -> None:
            click.echo(f"{load.title}, {report.progress(run, settings.rounds)}", err=True)

        result = measure_load(subjects, settings, load, pool, tell)
        results.loads.append(result)
        click.echo(f"\n{report.table(result)}")
        for note in report.notes(result, settings):
            click.echo(f"  Note: {note}")


def write_files(results: Results, options: dict[str, Any]) -> None:
    if not results.loads:
        return
    if options["output"] is not None:
        save(results, options["output"], options["arrivals"])
    if options["plot"] is not None:
        plot.draw(results, options["plot"])


def tell_failures(results: Results) -> None:
    """SetupError, and so exit code 1, if a request failed."""
    failed = failures(results)
    if not failed:
        return
    total = sum(run.summary.requests for load in results.loads for run in load.runs)
    words = "; ".join(f"{count} x {reason}" for reason, count in failed.most_common(SHOWN_FAILURES))
    raise SetupError(f"{sum(failed.values())} of {total} requests failed: {words.rstrip('.')}.")
