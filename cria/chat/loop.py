"""The loop of a chat: read, do, until the user leaves."""

from __future__ import annotations

from cria.chat.commands import Leave, run_command
from cria.chat.reader import Reader
from cria.chat.session import Session
from cria.errors import SetupError

AGAIN = "(Ctrl-C once more, or Ctrl-D, leaves)"


def chat(session: Session, reader: Reader) -> None:
    """Until /quit, the end of the input, or two Ctrl-C in a row at the prompt."""
    was_interrupted = False
    while True:
        try:
            line = reader.read()
        except EOFError:
            session.screen.line("")
            return
        except KeyboardInterrupt:
            session.screen.line("")
            if was_interrupted:
                return
            was_interrupted = True
            session.screen.note(AGAIN)
            continue
        was_interrupted = False
        try:
            act(session, line)
        except Leave:
            return
        except KeyboardInterrupt:
            session.screen.note("(stopped)")


def act(session: Session, line: str) -> None:
    """A command or a question; what is wrong with it is a sentence."""
    try:
        if line.startswith("/") and not line.startswith("//"):
            run_command(session, line.strip())
        elif line.strip():
            session.ask(line[1:] if line.startswith("//") else line)
    except SetupError as error:
        session.screen.note(str(error))
