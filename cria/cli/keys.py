"""`cria keys`: a fresh key, and the line for `--api-key-file` that knows it."""

from __future__ import annotations

import secrets

import click

from cria.access_key import NAME, digest_of

PREFIX = "sk-cria-"
NUM_BYTES = 32


@click.command("keys", short_help="Make an API key.")
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """Make an API key for NAME.

    The first line is the key, for its holder; the second one is for --api-key-file, and does not
    give the key away.
    """
    if name is not None and not NAME.fullmatch(name):
        raise click.UsageError("NAME may have letters, digits, dots, dashes, _ and @.")
    key = PREFIX + secrets.token_urlsafe(NUM_BYTES)
    click.echo(key)
    click.echo(f"sha256:{digest_of(key)}" + (f" name={name}" if name else ""))
