from __future__ import annotations

import pytest

from cria.prompt.chat_template import ChatTemplate
from cria.prompt.form_probe import probe
from cria.prompt.message_form import MessageForm
from tests.prompt import templates
from tests.prompt.conversations import SYSTEM, USER, call, calling, result, tool

PLAIN = MessageForm(takes_tools=False)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("CHATML", PLAIN),
        ("NO_SYSTEM", PLAIN._replace(system_role="nowhere")),
        ("SYSTEM_FIRST", PLAIN._replace(system_role="first")),
        ("ARGUMENTS_AS_TEXT", PLAIN),
        ("DROPS_THINKING", PLAIN),
        ("TOOLS_WITHOUT_CALLS", PLAIN),
        ("TOOLS", MessageForm()),
        ("TOOLS_AS_TEXT", MessageForm(arguments_as_dict=False)),
        ("TOOLS_SHORT_IDS", MessageForm(short_ids=True)),
        ("TOOLS_SINGLE", MessageForm(single_calls=True)),
        ("TOOLS_OR_CONTENT", MessageForm(separate_content=True)),
        ("TOOLS_OR_THINKING", MessageForm(joins_thinking=True)),
        ("TOOLS_DESCRIBED", MessageForm(fills_descriptions=True)),
        ("TOOLS_IN_FUNCTIONS", MessageForm(supplies_functions=True)),
        ("TOOLS_APPENDED", MessageForm(may_append=True)),
    ],
)
def test_the_probe_finds_what_a_template_takes(name: str, form: MessageForm) -> None:
    assert ChatTemplate(getattr(templates, name), "<s>", "</s>").form == form


def test_a_template_that_prints_python_gets_text() -> None:
    source = templates.TOOLS.replace("arguments | tojson", "arguments")
    assert not ChatTemplate(source, "", "").form.arguments_as_dict


def test_a_template_that_takes_nothing_gets_everything_as_it_is() -> None:
    assert probe(lambda *_: "") == PLAIN._replace(system_role="nowhere")


@pytest.mark.parametrize("name", [name for name in vars(templates) if name.startswith("TOOLS")])
def test_whatever_the_form_nothing_is_missing(name: str) -> None:
    """Of a conversation that none of these templates takes as it is."""
    template = ChatTemplate(getattr(templates, name), "<s>", "</s>")
    calls = [call(id=f"call_with_a_long_id_{n}") for n in range(2)]
    results = [result(f"result {n}", id=calls[n]["id"]) for n in range(2)]
    messages = [SYSTEM, USER, calling(*calls, content="Wait.", reasoning="Hm."), *results, USER]
    (text,) = template.render(messages, tools=[tool()])
    for word in ("Be brief.", "Wait.", "Tallinn", "result 0", "result 1", "The weather of a city."):
        assert word in text
    assert text.count("Tallinn") == 2
    assert "'town'" not in text
