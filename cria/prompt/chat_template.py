"""A model's own chat template: messages in, prompt text out.

1. Templates differ in what they take. What this one takes is tried once, when it is loaded, and
   messages are brought into that form (`message_form`). `template_trial` goes before that: a
   template may do harm to whoever as much as compiles it.
2. What a template does with a conversation is the client's business: a refusal or a failure is a
   `RequestError`, and so is every use of a model without a template that compiles.
3. Text that a user wrote never becomes a control token (`control_text`).
4. A last message that is to be continued is rendered with a mark behind its content, and the text
   is cut there: whatever the template writes after a message is not written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jinja2 import Template, TemplateError, meta

from cria.errors import RequestError
from cria.prompt.control_text import ControlText, choose_seam, strings_of
from cria.prompt.message_form import Message, MessageForm, probe
from cria.prompt.template_environment import TemplateRefusal, make_environment

MAX_PROMPT_CHARACTERS = 32 * 1024 * 1024

# All that the code of a template can raise: Jinja's errors, and Python's, which pass through.
_FAILURES = (
    TemplateError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)


class ChatTemplate:
    """The template of one model; `source` is None if it has none."""

    def __init__(
        self,
        source: str | None,
        bos_token: str,
        eos_token: str,
        control_texts: Iterable[str] = (),
    ) -> None:
        self._source = source or ""
        self._tokens = {"bos_token": bos_token, "eos_token": eos_token}
        self._control_text = ControlText(control_texts)
        self._template, self.problem = _compile(source)
        self.variables = _variables(source) if self._template and source else frozenset()
        """The names that the template looks up, those that a request could set among them."""
        self.form = probe(self._try_render) if self._template else MessageForm()

    @property
    def source(self) -> str:
        """What the model brought; empty if there is nothing that works."""
        return "" if self.problem else self._source

    @classmethod
    def unusable(cls, problem: str) -> ChatTemplate:
        """Stands in for a template that must not even be compiled; every use says why."""
        template = cls(None, "", "")
        template.problem = problem
        return template

    def render(
        self,
        messages: list[Message],
        *,
        add_generation_prompt: bool = True,
        continue_last: bool = False,
        kwargs: Mapping[str, Any] | None = None,
    ) -> tuple[str, ...]:
        """The prompt as one segment; as several if a user wrote the text of a control token.

        With `continue_last` it ends with the content of the last message.
        """
        try:
            given = {**(kwargs or {}), "messages": self.form.normalise(messages)}
            seam = self._seam_for(given)
            if seam:
                given = self._control_text.cut(given, seam)
            given["add_generation_prompt"] = add_generation_prompt and not continue_last
            text = self._render_open(given, seam) if continue_last else self._render(given)
        except _FAILURES as error:
            raise _request_error(error) from error
        return tuple(text.split(seam)) if seam else (text,)

    def _render_open(self, given: dict[str, Any], seam: str | None) -> str:
        """The text up to the end of the last message's content.

        Many templates trim a content. White space at the end of this one is part of what goes on,
        and so is kept from the template and appended here.
        """
        *others, last = given["messages"]
        content: str = last["content"]
        kept = content.rstrip()
        mark = choose_seam((self._source, seam or "", *strings_of(given)))
        marked = [*others, last | {"content": kept + mark}]
        before, *after = self._render(given | {"messages": marked}).split(mark)
        if len(after) != 1:
            raise RequestError(
                "The model's chat template cannot leave a message open: it does not write the last "
                "one's content once and as it is. Send 'continue_final_message': false to have the "
                "model begin a message of its own.",
                param="messages",
            )
        return before + content[len(kept) :]

    def _seam_for(self, given: dict[str, Any]) -> str | None:
        if not self._control_text.occurs_in(given):
            return None
        return choose_seam((self._source, *strings_of(given)))

    def _render(self, given: dict[str, Any]) -> str:
        if self._template is None:
            raise RequestError(f"{self.problem} Use /v1/completions.", param="messages")
        return "".join(_capped(self._template.generate(given | self._tokens)))

    def _try_render(self, messages: list[Message]) -> str:
        try:
            return self._render({"messages": messages, "add_generation_prompt": True})
        except (*_FAILURES, RequestError):
            return ""


def _compile(source: str | None) -> tuple[Template | None, str]:
    """The template, or what is wrong with it."""
    if not source:
        return None, "This model has no chat template."
    try:
        return make_environment().from_string(source), ""
    except _FAILURES as error:
        return None, f"This model's chat template does not compile: {_short(error)}."


def _variables(source: str) -> frozenset[str]:
    """Names that a template uses and does not set first; local ones may be among them."""
    return frozenset(meta.find_undeclared_variables(make_environment().parse(source)))


def _capped(parts: Iterator[str]) -> Iterator[str]:
    """A template may repeat its input without end: stop it early."""
    length = 0
    for part in parts:
        length += len(part)
        if length > MAX_PROMPT_CHARACTERS:
            raise RequestError(
                f"The messages make a prompt of more than {MAX_PROMPT_CHARACTERS} characters. "
                "Please reduce their length.",
                param="messages",
            )
        yield part


def _request_error(error: BaseException) -> RequestError:
    if isinstance(error, TemplateRefusal):
        sentence = f"The model's chat template refuses these messages: {_short(error)}"
    else:
        kind = type(error).__name__
        sentence = f"The model's chat template fails with these messages: {kind}: {_short(error)}"
    return RequestError(sentence, param="messages", code="invalid_value")


def _short(error: BaseException) -> str:
    return str(error)[:300]
