from __future__ import annotations

from cria.formats.reasoning_format import THINK
from cria.formats.tool_format import HERMES
from cria.prompt.chat_template import ChatTemplate
from cria.prompt.formats import formats_of

TEMPLATE = """
{%- for message in messages %}[{{ message.role }}]
{%- if message.reasoning_content %}<think>{{ message.reasoning_content }}</think>{% endif %}
{{- message.content }}{% endfor %}"""


def test_a_template_is_asked_for_its_formats() -> None:
    formats = formats_of(ChatTemplate(TEMPLATE, "", ""), {})
    assert (formats.tools, formats.reasoning) == (HERMES, THINK)


def test_a_template_that_cannot_be_used_has_none() -> None:
    formats = formats_of(ChatTemplate.unusable("broken"), {})
    assert (formats.tools, formats.reasoning) == (HERMES, None)
