"""`cria chat`: a conversation in the terminal."""

from __future__ import annotations

import click

from cria.chat.loop import chat
from cria.chat.reader import Reader
from cria.chat.screen import Screen
from cria.chat.session import Session
from cria.cli.client_options import asked, client_options, orderly_end
from cria.model_store import DEFAULT_MODEL


@click.command("chat", short_help="Talk with a model in the terminal.")
@click.argument("model", required=False)
@client_options
def command(model: str | None, url: str | None, api_key: str | None, system: str | None) -> None:
    """Talk with MODEL, which is what `cria serve` takes, or a name at --url.

    /help lists what else may be typed.
    """
    if url is None:
        model = model or DEFAULT_MODEL
    with orderly_end(), asked(model, url, api_key) as target:
        screen, reader = Screen(), Reader()
        try:
            session = Session(target, screen, system)
            screen.note(f"{target.model()} at {target.root}; /help lists the commands.")
            chat(session, reader)
        finally:
            reader.close()
