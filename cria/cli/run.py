"""`cria run`: one answer for a pipe. The answer to standard output, all else to standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from cria.chat.screen import harmless
from cria.cli.client_options import asked, client_options, orderly_end
from cria.cli.options import COUNT
from cria.cli.params import FloatRange
from cria.client.api import Piece, Refused, Usage
from cria.client.target import Target
from cria.errors import SetupError

CHAT, COMPLETION = "/v1/chat/completions", "/v1/completions"
RAW_TOKENS = 256
"""A plain completion seldom ends by itself."""
NO_TEMPLATE = "no chat template"
SIGPIPE_CODE = 128 + 13
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("run", short_help="Answer one prompt, for pipes.")
@click.argument("words", nargs=-1, metavar="[MODEL] [PROMPT]")
@client_options
@click.option("--model", "model_option", metavar="MODEL", help="The same as the argument MODEL.")
@click.option(
    "--max-tokens", type=COUNT, help=f"Tokens of the answer at most; with --raw {RAW_TOKENS}."
)
@click.option("--temperature", type=FloatRange(0, 2), help="0 takes the most likely token.")
@click.option("--seed", type=int, help="The same seed chooses the same tokens.")
@click.option("--stop", multiple=True, help="Text before which the answer ends; may be repeated.")
@click.option("--json-schema", type=FILE, metavar="FILE", help="The answer is JSON of this schema.")
@click.option("--grammar", type=FILE, metavar="FILE", help="The answer has this grammar's form.")
@click.option("--raw", is_flag=True, help="Go on with the prompt; without the chat template.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, at the end.")
def command(words: tuple[str, ...], model_option: str | None, **options: Any) -> None:
    """Answer PROMPT with MODEL, which is what `cria serve` takes, or a name at --url.

    Piped standard input is the prompt, or follows PROMPT after an empty line.
    """
    model, words_of_prompt = split_words(words, model_option, options["url"])
    fields = make_fields(options)
    prompt = make_prompt(words_of_prompt, piped_input())
    try:
        with orderly_end(), asked(model, options["url"], options["api_key"]) as target:
            answer = Answer(target, prompt, options["system"], fields, raw=options["raw"])
            (write_json if options["as_json"] else write_text)(answer)
    except BrokenPipeError:
        # Whoever read has seen enough. Nothing may be flushed there at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(SIGPIPE_CODE)


def split_words(
    words: tuple[str, ...], model: str | None, url: str | None
) -> tuple[str | None, str | None]:
    """MODEL and PROMPT. With --url, or with --model, a single word is the prompt."""
    if model is not None or (url is not None and len(words) == 1):
        words = (model or "", *words)
    if len(words) > 2:
        raise click.UsageError("PROMPT is one word: put it in quotes.")
    found, prompt = (*words, None, None)[:2]
    return found or None, prompt


def make_prompt(words: str | None, piped: str | None) -> str:
    """What is piped is the prompt, or what the prompt is about; one line end of it goes."""
    parts = [part for part in (words, piped and piped.removesuffix("\n")) if part]
    if not parts:
        raise click.UsageError("Give a PROMPT, or pipe one in.")
    return "\n\n".join(parts)


def piped_input() -> str | None:
    if sys.stdin is None or sys.stdin.isatty():
        return None
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise SetupError("Standard input is no UTF-8 text.") from None


def make_fields(options: dict[str, Any]) -> dict[str, Any]:
    """The fields of the request that options set."""
    names = ("max_tokens", "temperature", "seed")
    fields = {name: options[name] for name in names if options[name] is not None}
    if options["stop"]:
        fields["stop"] = list(options["stop"])
    if options["json_schema"] and options["grammar"]:
        raise click.UsageError("--json-schema and --grammar exclude each other.")
    if options["raw"] and options["system"] is not None:
        raise click.UsageError("--system is for conversations: leave out --raw.")
    if options["json_schema"]:
        schema = {"name": "answer", "schema": read_schema(options["json_schema"]), "strict": True}
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    if options["grammar"]:
        fields["grammar"] = read_text(options["grammar"])
    return fields


def read_schema(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise SetupError(f"{path} is not JSON: {error}.") from None


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"Cannot read {path}: {error}.") from None


class Answer:
    """The pieces of one answer, and afterwards what they were together."""

    def __init__(
        self, target: Target, prompt: str, system: str | None, fields: dict[str, Any], *, raw: bool
    ) -> None:
        self._target, self._prompt, self._system = target, prompt, system
        self._fields, self._raw = fields, raw
        self.text = self.thinking = ""
        self.finish_reason: str | None = None
        self.usage = Usage()
        self.model = ""

    def pieces(self) -> Iterator[Piece]:
        """A model without a chat template goes on with the prompt."""
        try:
            yield from self._collected(*(self._completion() if self._raw else self._chat()))
        except Refused as refused:
            if self._raw or NO_TEMPLATE not in str(refused):
                raise
            if self._system is not None:
                raise SetupError("This model has no chat template, which --system needs.") from None
            say("This model has no chat template: it goes on with the prompt, as with --raw.")
            yield from self._collected(*self._completion())

    def _chat(self) -> tuple[str, dict[str, Any]]:
        system = [] if self._system is None else [{"role": "system", "content": self._system}]
        return CHAT, {"messages": [*system, {"role": "user", "content": self._prompt}]}

    def _completion(self) -> tuple[str, dict[str, Any]]:
        return COMPLETION, {"max_tokens": RAW_TOKENS, "prompt": self._prompt}

    def _collected(self, path: str, body: dict[str, Any]) -> Iterator[Piece]:
        for piece in self._target.answer(path, {**body, **self._fields}, say):
            self.text += piece.text
            self.thinking += piece.thinking
            self.finish_reason = piece.finish_reason or self.finish_reason
            self.usage = piece.usage or self.usage
            self.model = piece.model or self.model
            yield piece


def write_text(answer: Answer) -> None:
    """As it comes. For a terminal it is made harmless; a pipe gets what the model wrote."""
    shown: Callable[[str], str] = harmless if sys.stdout.isatty() else str
    for piece in answer.pieces():
        if piece.text:
            write(shown(piece.text))
    if not answer.text.endswith("\n"):
        write("\n")
    if answer.finish_reason == "length":
        say(f"The answer was cut after {answer.usage.completion_tokens} tokens.")


def write_json(answer: Answer) -> None:
    for _ in answer.pieces():
        pass
    usage = answer.usage
    made = {
        "text": answer.text,
        "finish_reason": answer.finish_reason,
        "model": answer.model,
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        },
    }
    if answer.thinking:
        made["reasoning"] = answer.thinking
    write(json.dumps(made, ensure_ascii=False) + "\n")


def write(text: str) -> None:
    """Now, and as UTF-8 wherever it goes."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))
    sys.stdout.buffer.flush()


def say(sentence: str) -> None:
    click.echo(sentence, err=True)
