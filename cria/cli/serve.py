"""`cria serve`: options to settings, a model to a file, then the server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from cria.access_key import hashed
from cria.cli.access_options import access_options
from cria.cli.connection_options import connection_options
from cria.cli.legacy_options import legacy_options, legacy_settings
from cria.cli.limit_options import limit_options
from cria.cli.options import serve_options
from cria.cli.progress import make_progress
from cria.cli.stop_options import stop_options
from cria.config import ALL_LAYERS, EngineConfig, ModelEntry, ServerConfig
from cria.legacy import is_legacy
from cria.model_store import DEFAULT_MODEL, KNOWN_MODELS, resolve

Config = TypeVar("Config", EngineConfig, ServerConfig)


@click.command("serve", short_help="Serve a model over HTTP.")
@click.argument("model", required=False)
@serve_options
@connection_options
@access_options
@stop_options
@limit_options
@legacy_options
def command(model: str | None, model_option: str | None, **options: Any) -> None:
    """Serve MODEL over HTTP, behind the OpenAI API.

    MODEL is a GGUF file, the first file of a split set, a llama model from before GGUF, or a known
    name; without it the default model is fetched and served.
    """
    spec = choose_model(model, model_option)
    options = {**options, **gpu_settings(**take(options, "use_gpu", "num_gpu_layers"))}
    check_batch(options["batch_size"], options["ubatch_size"])
    check_cache(options["kv_layout"], options["num_cells"])
    options["keys"] = tuple(map(hashed, options["api_keys"]))
    os.environ.pop("CRIA_API_KEY", None)  # or every child process would have the keys
    options["aliases"] = model_names(spec, options["aliases"])
    run(spec, options)


def run(spec: str, options: dict[str, Any]) -> None:
    """The address first, then the model: fetching may take minutes, a wrong port shows at once."""
    # Not before this line: importing it changes the standard library.
    from cria.server import serve as server

    config = make_config(ServerConfig, options)
    server.prepare(config.log_level)
    server.check_access(config)
    listener = server.bind(config.host, config.port)
    server.check_setup()
    if options["chat_template_file"] is not None:
        source = server.read_template(options["chat_template_file"])
        config = msgspec.structs.replace(config, chat_template=source)
    verb = "Converting" if is_legacy(Path(spec).expanduser()) else "Fetching"
    path = resolve(spec, make_progress(spec, verb), legacy_settings(options))
    engine_config = make_config(EngineConfig, {**options, "model_path": str(path)})
    server.serve(listener, (ModelEntry(engine_config, config),), config, click.echo)


def make_config(kind: type[Config], options: dict[str, Any]) -> Config:
    """The fields of a config that options set; the others keep their defaults."""
    return kind(**take(options, *(name for name in kind.__struct_fields__ if name in options)))


def take(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: options[name] for name in names}


def choose_model(argument: str | None, option: str | None) -> str:
    """MODEL may be given in two ways, but not in both; the variables stand behind either."""
    source = click.get_current_context().get_parameter_source("model_option")
    on_command_line = source is click.core.ParameterSource.COMMANDLINE
    if argument and option and on_command_line:
        raise click.UsageError("Give the model once, as MODEL or as --model.")
    return argument or option or DEFAULT_MODEL


def model_names(spec: str, aliases: tuple[str, ...]) -> tuple[str, ...]:
    """A known model answers to its known name too."""
    return (*aliases, spec) if spec in KNOWN_MODELS and spec not in aliases else aliases


def gpu_settings(use_gpu: bool | None, num_gpu_layers: int | None) -> dict[str, Any]:
    """What the two options about the GPU mean together."""
    if use_gpu is False:
        if num_gpu_layers:
            raise click.UsageError("--no-use-gpu and --gpu-layers contradict each other.")
        return {"num_gpu_layers": 0, "require_gpu": False}
    if use_gpu and num_gpu_layers is None:
        num_gpu_layers = ALL_LAYERS
    return {
        "num_gpu_layers": num_gpu_layers,
        "require_gpu": bool(use_gpu) or bool(num_gpu_layers),
    }


def check_batch(batch_size: int | None, ubatch_size: int | None) -> None:
    if batch_size and ubatch_size and ubatch_size > batch_size:
        raise click.UsageError(
            f"--ubatch-size {ubatch_size} is larger than --batch-size {batch_size}."
        )


def check_cache(kv_layout: str, num_cells: int | None) -> None:
    if num_cells and kv_layout == "streams":
        raise click.UsageError(
            "--cache-size is for one pool of all sequences; with --kv streams each has its own "
            "--context-size."
        )
