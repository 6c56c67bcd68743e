"""A model's own chat template: messages in, prompt text out.

1. Templates differ in what they take. What this one takes is tried once, when it is loaded, and
   messages are brought into that form (`message_form`). `template_trial` goes before that: a
   template may do harm to whoever as much as compiles it.
2. A model may have a second template, for conversations with tools. Where no template takes tools,
   they become text of messages (`tool_text`).
3. Text that a user wrote never becomes a control token (`control_text`).
4. A last message that is to be continued is rendered with a mark behind its content, and the text
   is cut there: whatever the template writes after a message is not written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from cria.errors import RequestError
from cria.prompt.call_form import Message, uses_tools
from cria.prompt.control_text import ControlText, choose_seam, strings_of
from cria.prompt.message_form import MessageForm
from cria.prompt.schema_form import with_plain_schemas
from cria.prompt.template_program import FAILURES, FINAL, TemplateProgram, request_error
from cria.prompt.tool_text import tools_as_text

Tools = list[dict[str, Any]]


class ChatTemplate:
    """The template of one model; `source` is None if it has none.

    `tool_source` is the one for conversations with tools, if there is a second one.
    """

    def __init__(
        self,
        source: str | None,
        bos_token: str,
        eos_token: str,
        control_texts: Iterable[str] = (),
        tool_source: str | None = None,
    ) -> None:
        tokens = {"bos_token": bos_token, "eos_token": eos_token}
        self._control_text = ControlText(control_texts)
        self._plain = TemplateProgram(source, tokens)
        second = TemplateProgram(tool_source, tokens) if tool_source else self._plain
        self._for_tools = self._plain if second.problem else second
        self.problem = self._plain.problem
        self.variables = self._plain.variables | self._for_tools.variables
        """The names that the templates look up, those that a request could set among them."""

    @property
    def source(self) -> str:
        """What the model brought; empty if there is nothing that works."""
        return "" if self.problem else self._plain.source

    @property
    def tool_source(self) -> str | None:
        """The second template, if there is one that works."""
        return None if self._for_tools is self._plain else self._for_tools.source

    @property
    def form(self) -> MessageForm:
        """In which conversations without tools are brought."""
        return self._plain.form

    @property
    def takes_tools(self) -> bool:
        """The model's template knows tools, calls and results; if not, they become text."""
        return not self._for_tools.problem and self._for_tools.form.takes_tools

    @classmethod
    def unusable(cls, problem: str) -> ChatTemplate:
        """Stands in for a template that must not even be compiled; every use says why."""
        template = cls(None, "", "")
        template.problem = template._plain.problem = problem
        return template

    def render(
        self,
        messages: list[Message],
        *,
        tools: Tools | None = None,
        add_generation_prompt: bool = True,
        continue_last: bool = False,
        kwargs: Mapping[str, Any] | None = None,
    ) -> tuple[str, ...]:
        """The prompt as one segment; as several if a user wrote the text of a control token.

        With `continue_last` it ends with the content of the last message. Tools have OpenAI's form.
        """
        make = partial(self._segments, messages, add_generation_prompt, continue_last, kwargs or {})
        try:
            try:
                return make(tools)
            except FAILURES as error:
                if not tools or isinstance(error, FINAL):
                    raise
                return make(with_plain_schemas(tools))
        except FAILURES as error:
            raise request_error(error) from error

    def _segments(
        self,
        messages: list[Message],
        opens_answer: bool,
        continue_last: bool,
        kwargs: Mapping[str, Any],
        tools: Tools | None,
    ) -> tuple[str, ...]:
        has_tools = bool(tools) or uses_tools(messages)
        program = self._for_tools if has_tools else self._plain
        if has_tools and not self.takes_tools:
            messages, tools = tools_as_text(messages, tools), None
        given = {**kwargs, **program.form.variables(messages, tools)}
        seam = self._seam_for(program, given)
        if seam:
            given = self._control_text.cut(given, seam)
        given["add_generation_prompt"] = opens_answer and not continue_last
        text = _open_text(program, given, seam) if continue_last else program.render(given)
        return tuple(text.split(seam)) if seam else (text,)

    def draw(
        self,
        messages: list[Message],
        *,
        tools: Tools | None = None,
        add_generation_prompt: bool = False,
        kwargs: Mapping[str, Any] | None = None,
    ) -> str:
        """What the template itself makes of a conversation; nothing if it refuses or fails.

        Here tools never become text, and texts of control tokens are not kept apart.
        """
        program = self._for_tools if tools or uses_tools(messages) else self._plain
        try:
            given = {**(kwargs or {}), **program.form.variables(messages, tools)}
            return program.render(given | {"add_generation_prompt": add_generation_prompt})
        except (*FAILURES, RequestError):
            return ""

    def _seam_for(self, program: TemplateProgram, given: dict[str, Any]) -> str | None:
        if not self._control_text.occurs_in(given):
            return None
        return choose_seam((program.source, *strings_of(given)))


def _open_text(program: TemplateProgram, given: dict[str, Any], seam: str | None) -> str:
    """The text up to the end of the last message's content.

    Many templates trim a content. White space at the end of this one is part of what goes on,
    and so is kept from the template and appended here.
    """
    *others, last = given["messages"]
    content: str = last["content"]
    kept = content.rstrip()
    mark = choose_seam((program.source, seam or "", *strings_of(given)))
    marked = [*others, last | {"content": kept + mark}]
    before, *after = program.render(given | {"messages": marked}).split(mark)
    if len(after) != 1:
        raise RequestError(
            "The model's chat template cannot leave a message open: it does not write the last "
            "one's content once and as it is. Send 'continue_final_message': false to have the "
            "model begin a message of its own.",
            param="messages",
        )
    return before + content[len(kept) :]
