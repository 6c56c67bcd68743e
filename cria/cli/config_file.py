"""`cria serve --config FILE`: options for the server and for each of its models, in TOML.

1. A key is an option's long name without its dashes; its value is checked as the option's own.
2. What a table of a model says wins over `[server]`; the command line and the environment win over
   both, as click has it with its default maps.
3. Whatever is wrong is one sentence that names the file, the table and the key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from cria.cli.toml_table import TomlTable, kind_of, read_toml
from cria.config import EngineConfig, ModelSettings

MODEL_OPTIONS = frozenset(EngineConfig.__struct_fields__) - {"log_level"} | {
    "use_gpu",
    "chat_template_file",
    "max_queue",
    "max_queue_tokens",
    "queue_timeout",
    "keep_alive",
}
"""Parameters of options that a model may have for itself."""
PATHS = frozenset({"chat_template_file", "key_file", "tls_cert", "tls_key", "response_store"})
"""Those whose values are files; in the configuration, relative to its own folder."""
ABOUT_REQUESTS = ("system-prompt", "defaults", "forced", "limits")
ABOUT_MODEL = ("model", "aliases", "pinned", *ABOUT_REQUESTS)
LIMITS = ("max-tokens", "max-prompt-tokens", "max-choices")
NOT_HERE = frozenset({"config_file", "model_option"})

Values = dict[str, Any]
"""By parameter, as click takes them from a default map."""


class ModelTable(NamedTuple):
    """One table of `[models]`."""

    name: str
    spec: str
    """A path, or a name that `cria serve` knows."""
    aliases: tuple[str, ...]
    pinned: bool
    values: Values
    settings: ModelSettings


class ConfigFile(NamedTuple):
    """All of a file."""

    path: Path
    server: Values
    settings: ModelSettings
    """Of all models, where their own tables say nothing."""
    models: dict[str, ModelTable]


def read_config(path: Path, context: click.Context) -> ConfigFile:
    """SetupError if the file cannot be read, or says what no option of the command takes."""
    whole = read_toml(path)
    whole.check_keys(("server", "models", *ABOUT_REQUESTS), "table")
    options = named_options(context.command.params)
    server = whole.table("server")
    server.check_keys(options)
    wide = _settings(whole, ModelSettings())
    tables = whole.table("models")
    models = {name: _model(tables.table(name), name, options, wide, context) for name in tables}
    return ConfigFile(path, values_of(server, options, context), wide, models)


def named_options(params: Collection[click.Parameter]) -> dict[str, click.Option]:
    """By their long names without the dashes."""
    return {
        name.removeprefix("--"): each
        for each in params
        if isinstance(each, click.Option) and each.expose_value and each.name not in NOT_HERE
        for name in each.opts
        if name.startswith("--")
    }


def values_of(
    table: TomlTable, options: Mapping[str, click.Option], context: click.Context
) -> Values:
    """What the table says for options; the keys that are none are left out."""
    found: Values = {}
    for key in table:
        if key in options:
            option = options[key]
            assert option.name is not None
            found[option.name] = _value(table, key, option, context)
    return found


def _model(
    table: TomlTable,
    name: str,
    options: Mapping[str, click.Option],
    wide: ModelSettings,
    context: click.Context,
) -> ModelTable:
    own = {key: option for key, option in options.items() if option.name in MODEL_OPTIONS}
    for key in table:
        if key in options and key not in own and key not in ABOUT_MODEL:
            raise table.error(key, "this is for the whole server; say it in [server].")
    table.check_keys({*own, *ABOUT_MODEL})
    spec = table.text("model")
    if not spec:
        raise table.error("model", "this has to be the model's file, or a known name.")
    return ModelTable(
        name,
        _beside(table.path, spec) if (table.path.parent / spec).exists() else spec,
        table.texts("aliases"),
        bool(table.flag("pinned")),
        values_of(table, own, context),
        _settings(table, wide),
    )


def _settings(table: TomlTable, wide: ModelSettings) -> ModelSettings:
    limits = table.table("limits")
    limits.check_keys(LIMITS)
    given = {key.replace("-", "_"): limits.count(key) for key in LIMITS if key in limits}
    prompt = table.text("system-prompt")
    return ModelSettings(
        wide.system_prompt if prompt is None else prompt or None,
        {**wide.defaults, **table.table("defaults").content},
        {**wide.forced, **table.table("forced").content},
        **{name: given.get(name, getattr(wide, name)) for name in _limit_names()},
    )


def _limit_names() -> Iterator[str]:
    return (key.replace("-", "_") for key in LIMITS)


def _value(table: TomlTable, key: str, option: click.Option, context: click.Context) -> Any:
    value = _plain(table, key, option)
    if option.name in PATHS and isinstance(value, str) and value != "none":
        value = _beside(table.path, value)
    try:
        option.type_cast_value(context, value)
    except click.BadParameter as error:
        raise table.error(key, error.message) from error
    return value


def _plain(table: TomlTable, key: str, option: click.Option) -> Any:
    """As on a command line: texts, but for what is on or off."""
    value = table[key]
    if option.is_flag:
        return table.flag(key)
    if option.multiple or option.nargs != 1:
        members = value if isinstance(value, list) else [value]
        return [_text(table, key, member) for member in members]
    return _text(table, key, value)


def _text(table: TomlTable, key: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise table.error(key, f"this has to be a text or a number, not {kind_of(value)}.")
    return str(value)


def _beside(path: Path, name: str) -> str:
    return str(path.parent / Path(name).expanduser())
