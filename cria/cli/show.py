"""`cria show`: what a model is, what it can do, and whether it fits here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from cria.cli import printable
from cria.cli.options import COUNT
from cria.config import CACHE_TYPES
from cria.errors import ModelFileError
from cria.model_file import Header, check_model_files
from cria.model_file.description import FileDescription, describe_file
from cria.model_file.fit import Fit, Plan, fit, usual_context
from cria.model_store import DEFAULT_MODEL, KNOWN_MODELS, find
from cria.prompt.inspection import Inspection, Machine, inspect

SLOTS_CPU, SLOTS_GPU = 8, 64
"""Sequences that a server computes together, if nobody says otherwise."""


@click.command("show", short_help="Say what a model is, and whether it fits here.")
@click.argument("model", default=DEFAULT_MODEL)
@click.option("--context-size", "-c", type=COUNT, help="Tokens that one sequence may hold.")
@click.option("--parallel", type=COUNT, help="Sequences that are computed at the same time.")
@click.option("--cache-type-k", type=click.Choice(CACHE_TYPES), default="f16", show_default=True)
@click.option("--cache-type-v", type=click.Choice(CACHE_TYPES), default="f16", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="As one JSON object, sizes in bytes.")
def command(model: str, as_json: bool, **wishes: Any) -> None:
    """Show what MODEL is: a GGUF file, the first one of a split set, or a known name.

    The memory is an estimate: weights and cache by their sizes, and a little to compute in.
    """
    path = path_of(model)
    headers = check_model_files(path)
    description, seen = describe_file(headers), inspect(str(path))
    verdict = judge(headers, seen.machine, **wishes)
    if as_json:
        click.echo(encode(path, description, seen, verdict))
        return
    for name, text in rows(path, description, seen, verdict):
        click.echo(f"{name:<16}{text}")


def path_of(spec: str) -> Path:
    """The model's file, if it is here."""
    if (path := find(spec)) is not None:
        return path
    if spec in KNOWN_MODELS:
        raise ModelFileError(f"The model {spec} is not here yet; `cria pull {spec}` fetches it.")
    raise ModelFileError(f"There is no file {spec}, and no model of that name is here.")


def judge(
    headers: Sequence[Header],
    machine: Machine,
    *,
    context_size: int | None,
    parallel: int | None,
    cache_type_k: str,
    cache_type_v: str,
) -> Fit:
    """By the memory of the GPUs, where there are some."""
    slots = parallel or (SLOTS_GPU if machine.gpus else SLOTS_CPU)
    plan = Plan(usual_context(headers[0], context_size), slots, cache_type_k, cache_type_v)
    free = sum(gpu.free_bytes for gpu in machine.gpus) or machine.free_bytes
    return fit(headers, plan, free, may_shrink=None in (context_size, parallel))


def encode(path: Path, description: FileDescription, seen: Inspection, verdict: Fit) -> str:
    """Everything, for programs."""
    answer = {
        "path": str(path),
        **msgspec.to_builtins(description),
        "chat": seen.text,
        "memory": {**verdict.need._asdict(), "total": verdict.need.total},
        "plan": verdict.plan._asdict(),
        "machine": seen.machine,
        "fits": verdict.fits,
        "smaller_plan": verdict.smaller and verdict.smaller._asdict(),
    }
    return msgspec.json.encode(answer).decode()


def rows(
    path: Path, description: FileDescription, seen: Inspection, verdict: Fit
) -> Iterator[tuple[str, str]]:
    """Names and texts, for people."""
    more = f", {description.num_files} files" if description.num_files > 1 else ""
    yield "file", printable(f"{path} ({megabytes(description.num_bytes)}{more})")
    yield from ((name, printable(text)) for name, text in description.about.items())
    yield "architecture", printable(description.architecture) + _heads(description)
    yield "parameters", f"{description.num_parameters / 1e6:,.1f} million"
    yield "quantisation", f"{description.quantisation} ({_types(description)})"
    yield "context", f"{description.context_length or 'unknown'} tokens in training"
    yield "vocabulary", printable(f"{description.vocabulary_size} tokens, {description.tokenizer}")
    if description.pooling is not None:
        yield "pooling", description.pooling
    yield "chat", _chat(seen)
    yield "memory", _memory(verdict)
    yield "fits", _fits(verdict, seen.machine)


def _heads(description: FileDescription) -> str:
    known = {
        "layers": description.num_layers,
        "heads": description.num_heads,
        "heads for keys and values": description.num_kv_heads,
        "experts": description.num_experts,
        "wide": description.embedding_length,
    }
    return "".join(f", {number} {what}" for what, number in known.items() if number)


def _types(description: FileDescription) -> str:
    return ", ".join(
        f"{each.num_tensors} tensors {each.type} {megabytes(each.num_bytes)}"
        for each in description.types
    )


def _chat(seen: Inspection) -> str:
    if not seen.text.chats:
        return printable(seen.text.problem or "no")
    skills = {"tools": seen.text.takes_tools, "thinking": seen.text.thinks}
    known = [what for what, is_there in skills.items() if is_there]
    return (
        f"by the model's own template, with {' and '.join(known)}" if known else "by its template"
    )


def _memory(verdict: Fit) -> str:
    need, plan = verdict.need, verdict.plan
    return (
        f"{megabytes(need.total)}: weights {megabytes(need.weights)}, cache "
        f"{megabytes(need.cache)} for {plan.num_slots} sequences of up to {plan.context_size} "
        f"tokens, to compute about {megabytes(need.compute)}"
    )


def _fits(verdict: Fit, machine: Machine) -> str:
    where = "on the GPU" if machine.gpus else "of main memory"
    free = f"{megabytes(verdict.free_bytes)} {where} are free"
    if verdict.fits:
        return f"yes: {free}"
    if verdict.smaller is None:
        return f"no: {free}; fewer bits a weight would (`cria quantize`), or a smaller model"
    plan = verdict.smaller
    return (
        f"no: {free}; this would: --parallel {plan.num_slots} --context-size {plan.context_size} "
        f"--cache-type-k {plan.cache_type_k} --cache-type-v {plan.cache_type_v}"
    )


def megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.0f} MB"
