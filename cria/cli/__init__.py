"""The command `cria`: arguments to calls, errors to sentences.

Commands stay thin, and a command's module is imported only when it is called: `cria --version` must
not load a web server, and `cria serve` must patch the standard library before anything uses it.
"""

from __future__ import annotations

import importlib
import sys

import click

from cria import __version__
from cria.cli.architectures import is_architecture
from cria.errors import CriaError, ModelFileError

COMMANDS = {
    "bench": "cria.cli.bench",
    "chat": "cria.cli.chat",
    "convert": "cria.cli.convert",
    "keys": "cria.cli.keys",
    "list": "cria.cli.list",
    "pull": "cria.cli.pull",
    "quantize": "cria.cli.quantize",
    "rm": "cria.cli.rm",
    "run": "cria.cli.run",
    "serve": "cria.cli.serve",
    "show": "cria.cli.show",
}

MODEL_FILE_CODE = 3
"""The exit code if it is the model that cannot be served: starting again will not help."""


class CriaGroup(click.Group):
    """Loads commands late, and understands the forms without a command that the original had."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_command(args))


def with_command(args: list[str]) -> list[str]:
    """`llama-2 MODEL ...` and `-a llama --model MODEL ...` both mean `serve ...`."""
    if not args or args[0] in ("--help", "-h", "--version"):
        return args
    if is_architecture(args[0]):
        return ["serve", *args[1:]]
    return ["serve", *args] if args[0].startswith("-") else args


@click.group(cls=CriaGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cria")
def cria() -> None:
    """Serve local llama models behind the OpenAI API, and measure servers of it."""


def main() -> None:
    """Entry point: an expected failure is one sentence on standard error."""
    try:
        cria(prog_name="cria")
    except CriaError as error:
        click.echo(f"Error: {printable(str(error))}", err=True)
        sys.exit(MODEL_FILE_CODE if isinstance(error, ModelFileError) else 1)


def printable(text: str) -> str:
    """Nothing that a terminal would act on: a file may be called anything."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
