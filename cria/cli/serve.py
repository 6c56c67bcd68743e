"""`cria serve`: options to settings, a model to a file, then the server."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from cria.access_key import hashed
from cria.cli.access_options import access_options
from cria.cli.adapter_options import adapter_options
from cria.cli.connection_options import connection_options
from cria.cli.legacy_options import legacy_options, legacy_settings
from cria.cli.lifeline import lifeline_options
from cria.cli.limit_options import limit_options
from cria.cli.options import serve_options
from cria.cli.original_options import original_options
from cria.cli.pool_options import pool_options
from cria.cli.progress import make_progress
from cria.cli.stop_options import stop_options
from cria.cli.wishes import ServeCommand, Wish, choose_models, config_option, make_wishes
from cria.config import ALL_LAYERS, Adapter, EngineConfig, ModelEntry, ModelSettings, ServerConfig
from cria.errors import SetupError
from cria.legacy import adapter_as_gguf, is_legacy
from cria.model_store import converted_folder, resolve

if TYPE_CHECKING:
    from cria.cli.config_file import ConfigFile

Config = TypeVar("Config", EngineConfig, ServerConfig)


@click.command("serve", cls=ServeCommand, short_help="Serve models over HTTP.")
@click.argument("models", metavar="[MODEL]...", nargs=-1)
@serve_options
@config_option
@connection_options
@access_options
@stop_options
@limit_options
@legacy_options
@pool_options
@adapter_options
@lifeline_options
@original_options
def command(
    models: tuple[str, ...],
    model_option: str | None,
    config_file: ConfigFile | None,
    **options: Any,
) -> None:
    """Serve MODEL over HTTP, behind the OpenAI API; several, each by its name.

    MODEL is a GGUF file, the first file of a split set, a llama model from before GGUF, a known
    name, or the name of a model in the --config file; without any, all of that file, or the default
    model, which is fetched.
    """
    names = choose_models(models, model_option, config_file)
    wishes = make_wishes(names, options, config_file)
    wishes = [wish._replace(options=settled(wish.options)) for wish in wishes]
    options["keys"] = tuple(map(hashed, options["api_keys"]))
    os.environ.pop("CRIA_API_KEY", None)  # or every child process would have the keys
    run(wishes, options)


def settled(options: dict[str, Any]) -> dict[str, Any]:
    """What options mean together; UsageError if they contradict each other."""
    check_batch(options["batch_size"], options["ubatch_size"])
    check_cache(options["kv_layout"], options["num_cells"])
    return {**options, **gpu_settings(**take(options, "use_gpu", "num_gpu_layers"))}


def run(wishes: Sequence[Wish], options: dict[str, Any]) -> None:
    """The address first, then the model: fetching may take minutes, a wrong port shows at once."""
    # Not before this line: importing it changes the standard library.
    from cria.server import serve as server

    config = make_config(ServerConfig, options)
    server.prepare(config.log_level)
    server.check_access(config)
    listener = server.bind(config.host, config.port)
    server.check_setup()
    own = [server_config(wish, config, server.read_template) for wish in wishes]
    entries = tuple(map(make_entry, wishes, own))
    if len(entries) == 1:
        config = own[0]
    server.serve(listener, entries, config, click.echo)


def server_config(
    wish: Wish, config: ServerConfig, read_template: Callable[[str], str]
) -> ServerConfig:
    """Of one model; SetupError if its template or its settings cannot be used."""
    path = wish.options["chat_template_file"]
    template = None if path is None else read_template(path)
    check_settings(wish)
    own = {name: wish.options[name] for name in ("max_queue", "max_queue_tokens", "queue_timeout")}
    return msgspec.structs.replace(
        config, aliases=wish.aliases, chat_template=template, settings=wish.settings, **own
    )


def check_settings(wish: Wish) -> None:
    """SetupError for a default or a forced value that no request could have."""
    if wish.settings == ModelSettings():
        return
    from cria.api.request_settings import RequestSettings
    from cria.api.setting_values import WrongSetting

    try:
        RequestSettings(wish.settings)
    except WrongSetting as error:
        raise SetupError(f"{wish.told_in} {error}") from error


def make_entry(wish: Wish, config: ServerConfig) -> ModelEntry:
    """With the model's file, which is fetched or converted if need be."""
    verb = "Converting" if is_legacy(Path(wish.spec).expanduser()) else "Fetching"
    path = resolve(wish.spec, make_progress(wish.spec, verb), legacy_settings(wish.options))
    adapters = tuple(as_today(each, path) for each in wish.options["adapters"])
    options = {**wish.options, "model_path": str(path), "adapters": adapters}
    engine = make_config(EngineConfig, options)
    return ModelEntry(engine, config, pinned=wish.pinned, keep_alive=wish.options["keep_alive"])


def as_today(adapter: Adapter, base: Path) -> Adapter:
    """One from before GGUF is converted, once; its name stays."""
    path = adapter_as_gguf(Path(adapter.path), converted_folder(), base)
    return msgspec.structs.replace(adapter, path=str(path))


def make_config(kind: type[Config], options: dict[str, Any]) -> Config:
    """The fields of a config that options set; the others keep their defaults."""
    return kind(**take(options, *(name for name in kind.__struct_fields__ if name in options)))


def take(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: options[name] for name in names}


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
