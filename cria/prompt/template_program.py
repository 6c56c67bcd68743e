"""One Jinja source as a function of a conversation: `TemplateProgram`.

What a template does with a conversation is the client's business: a refusal or a failure is a
`RequestError`, and so is every use of a template that does not compile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import Template, TemplateError, meta

from cria.errors import RequestError
from cria.prompt.call_form import Message
from cria.prompt.form_probe import probe
from cria.prompt.message_form import MessageForm
from cria.prompt.render_limits import RenderLimit, limited
from cria.prompt.template_environment import TemplateRefusal, make_environment

MAX_PROMPT_CHARACTERS = 32 * 1024 * 1024

# All that the code of a template can raise: Jinja's errors, and Python's, which pass through.
FAILURES = (
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

FINAL = (TemplateRefusal, RenderLimit)
"""Those that are meant: trying again with tools in another form would not help."""


class TemplateProgram:
    """`problem` is a sentence if there is no source, or none that compiles."""

    def __init__(self, source: str | None, tokens: Mapping[str, str]) -> None:
        self._source = source or ""
        self._tokens = tokens
        self._template, self.problem = compile_source(source)
        # Jinja compiles a second time for those few that change lists.
        self._appending: Template | None = None
        self.variables = _variables(source) if self._template and source else frozenset()
        """The names that the template looks up, those that a request could set among them."""
        self.form = probe(self._try_render) if self._template else MessageForm()

    @property
    def source(self) -> str:
        """Empty if there is nothing that works."""
        return "" if self.problem else self._source

    def render(self, given: Mapping[str, Any]) -> str:
        """The text; RequestError if it is too long or there is no template."""
        with limited():
            return self._run(self.form, given)

    def _run(self, form: MessageForm, given: Mapping[str, Any]) -> str:
        template = self._appending_template() if form.may_append else self._template
        if template is None:
            raise RequestError(f"{self.problem} Use /v1/completions.", param="messages")
        return "".join(_capped(template.generate({**given, **self._tokens})))

    def _appending_template(self) -> Template | None:
        if self._appending is None and self._template is not None:
            self._appending = make_environment(may_append=True).from_string(self._source)
        return self._appending

    def _try_render(
        self, form: MessageForm, messages: list[Message], tools: list[dict[str, Any]] | None
    ) -> str:
        given = form.variables(messages, tools) | {"add_generation_prompt": True}
        try:
            with limited():
                return self._run(form, given)
        except (*FAILURES, RequestError):
            return ""


def request_error(error: BaseException) -> RequestError:
    """What a client is told of one of the `FAILURES`."""
    if isinstance(error, TemplateRefusal):
        sentence = f"The model's chat template refuses these messages: {_short(error)}"
    elif isinstance(error, RenderLimit):
        sentence = (
            f"The model's chat template cannot be used for these messages: {_short(error)}. "
            "Send fewer or shorter ones."
        )
    elif isinstance(error, RecursionError):
        sentence = (
            "The model's chat template cannot be used for these messages: what they hold, such as "
            "the arguments of a call, is nested too deeply. Send flatter ones."
        )
    else:
        kind = type(error).__name__
        sentence = f"The model's chat template fails with these messages: {kind}: {_short(error)}"
    return RequestError(sentence, param="messages", code="invalid_value")


def compile_source(source: str | None) -> tuple[Template | None, str]:
    """The template, or what is wrong with it."""
    if not source:
        return None, "This model has no chat template."
    try:
        return make_environment().from_string(source), ""
    except FAILURES as error:
        return None, f"This model's chat template does not compile: {_short(error).rstrip('.')}."


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


def _short(error: BaseException) -> str:
    return str(error)[:300]
