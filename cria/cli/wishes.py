"""Which models `cria serve` is to serve, and with which options each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from cria.cli.options import option
from cria.config import ModelSettings
from cria.model_store import DEFAULT_MODEL, names_of

if TYPE_CHECKING:
    from cria.cli.config_file import ConfigFile, ModelTable

FILE, ARGUMENTS = "cria.config_file", "cria.arguments"


class Wish(NamedTuple):
    """One model."""

    spec: str
    aliases: tuple[str, ...]
    options: dict[str, Any]
    """All of the command's, as they are for this model."""
    pinned: bool = False
    settings: ModelSettings = ModelSettings()
    told_in: str = ""
    """The file that has the settings."""


class ServeCommand(click.Command):
    """Remembers its arguments, to read them again with the defaults of another model."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta.setdefault(ARGUMENTS, list(args))
        return super().parse_args(ctx, args)


def read_file(context: click.Context, _option: click.Parameter, path: str | None) -> Any:
    """The configuration file, whose `[server]` becomes the options' defaults."""
    if path is None:
        return None
    if FILE not in context.meta:
        # Not before this line: most servers have none, and reading it needs the whole API.
        from cria.cli.config_file import read_config

        context.meta[FILE] = read_config(Path(path).expanduser(), context)
        context.default_map = context.meta[FILE].server
    return context.meta[FILE]


config_option = option(
    "config_file",
    "--config",
    metavar="FILE",
    is_eager=True,
    callback=read_file,
    show_default="none",
    help="TOML file with options for the server and for each of its models: docs/models.md.",
)


def choose_models(
    arguments: Sequence[str], option_value: str | None, file: ConfigFile | None
) -> list[str]:
    """What is to be served: paths, known names, and names of the file's tables.

    A model may be given as MODEL or as --model, but not as both; the variables stand behind either.
    """
    source = click.get_current_context().get_parameter_source("model_option")
    if arguments and option_value and source is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("Give the model once, as MODEL or as --model.")
    if arguments or option_value:
        return list(arguments) or [str(option_value)]
    return list(file.models) if file is not None and file.models else [DEFAULT_MODEL]


def make_wishes(
    names: Sequence[str], options: dict[str, Any], file: ConfigFile | None
) -> list[Wish]:
    """UsageError if an option cannot be for all of them."""
    given = options["aliases"]
    if given and len(names) > 1:
        raise click.UsageError("--alias names one model; several have names in a --config file.")
    tables = {} if file is None else file.models
    wishes = []
    for name in names:
        if name in tables:
            wishes.append(_wish_of(tables[name], given, file))
        else:
            known = tuple(each for each in names_of(name) if each not in given)
            wide = ModelSettings() if file is None else file.settings
            told_in = "" if file is None else str(file.path)
            wishes.append(Wish(name, (*given, *known), options, settings=wide, told_in=told_in))
    return wishes


def _wish_of(table: ModelTable, given: tuple[str, ...], file: ConfigFile | None) -> Wish:
    assert file is not None
    context = click.get_current_context()
    own = context.command.make_context(
        context.info_name,
        list(context.meta[ARGUMENTS]),
        parent=context.parent,
        default_map={**file.server, **table.values},
    )
    with own:
        names = (*given, table.name, *table.aliases)
        options = dict(own.params)
    told_in = f"{file.path}: [models.{table.name}]"
    return Wish(table.spec, names, options, table.pinned, table.settings, told_in)
