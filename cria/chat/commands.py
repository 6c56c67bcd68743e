"""The commands of a chat: lines that begin with a slash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cria.chat import sampling
from cria.chat.session import Session
from cria.errors import SetupError


class Leave(Exception):
    """The user wants to."""


class Command(NamedTuple):
    run: Callable[[Session, str], None]
    usage: str
    what: str


def run_command(session: Session, line: str) -> None:
    """SetupError says why it does not work; Leave ends the chat."""
    name, _, argument = line[1:].partition(" ")
    command = COMMANDS.get(name)
    if command is None:
        raise SetupError(f"There is no /{name}; /help lists the commands. // begins a message.")
    argument = argument.strip()
    if argument and command.usage == f"/{name}":
        raise SetupError(f"/{name} takes nothing behind it.")
    command.run(session, argument)


def _system(session: Session, text: str) -> None:
    if text:
        session.conversation.system = None if text == '""' else text
    else:
        session.screen.line(session.conversation.system or "There is no system message.")


def _save(session: Session, name: str) -> None:
    path = _path(name, "/save")
    if path.exists():
        raise SetupError(f"{path} exists; take another name.")
    session.conversation.save(path)
    session.screen.note(f"Saved {len(session.conversation.messages)} messages in {path}.")


def _load(session: Session, name: str) -> None:
    path = _path(name, "/load")
    session.conversation.load(path)
    session.screen.note(f"Loaded {len(session.conversation.messages)} messages.")


def _path(name: str, command: str) -> Path:
    if not name:
        raise SetupError(f"Which file? {command} FILE.")
    return Path(name).expanduser()


def _clear(session: Session, _: str) -> None:
    session.conversation.clear()
    session.question = None


def _undo(session: Session, _: str) -> None:
    if session.conversation.undo() is None:
        raise SetupError("There is nothing to undo.")


def _retry(session: Session, _: str) -> None:
    """The last question, whether it has an answer or not."""
    messages = session.conversation.messages
    kept = [message.content for message in messages if message.role == "user"]
    question = session.question or (kept[-1] if kept else None)
    if question is None:
        raise SetupError("There is no question yet.")
    if kept and kept[-1] == question:
        session.conversation.undo()
    session.ask(question)


def _set(session: Session, text: str) -> None:
    name, _, value = text.replace("=", " ", 1).partition(" ")
    if not name:
        for each, given in sorted(session.fields.items()):
            session.screen.line(f"{each} {given}")
    elif value.strip():
        session.fields[name] = sampling.parse(name, value.strip())
    elif session.fields.pop(name, None) is None:
        raise SetupError(f"{name} is not set; /set NAME VALUE sets it.")


def _model(session: Session, name: str) -> None:
    if name:
        session.target.choose(name)
        return
    current = session.target.model()
    for each in session.target.models():
        session.screen.line(("* " if each == current else "  ") + each)


def _stats(session: Session, _: str) -> None:
    if session.stats is None:
        raise SetupError("There is no answer yet.")
    session.screen.line(f"{session.stats.describe()}; {session.total_tokens} answered in all")


def _help(session: Session, _: str) -> None:
    for command in COMMANDS.values():
        session.screen.line(f"{command.usage:20} {command.what}")
    session.screen.line('A line that ends with \\ goes on in the next one; """ begins and ends a')
    session.screen.line("block. Ctrl-C stops an answer, Ctrl-D leaves.")


def _quit(session: Session, _: str) -> None:
    raise Leave


COMMANDS = {
    "system": Command(_system, "/system [TEXT]", 'show or set the system message; "" removes it'),
    "retry": Command(_retry, "/retry", "ask the last question again"),
    "undo": Command(_undo, "/undo", "forget the last question and its answer"),
    "clear": Command(_clear, "/clear", "forget all but the system message"),
    "save": Command(_save, "/save FILE", "write the messages as JSON"),
    "load": Command(_load, "/load FILE", "go on with the messages of a file"),
    "set": Command(_set, "/set [NAME [VALUE]]", "show, set or unset how tokens are chosen"),
    "model": Command(_model, "/model [NAME]", "list the models, or take another one"),
    "stats": Command(_stats, "/stats", "tokens and speed of the last answer"),
    "help": Command(_help, "/help", "this list"),
    "quit": Command(_quit, "/quit", "leave"),
}
