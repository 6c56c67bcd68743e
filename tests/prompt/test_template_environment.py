from __future__ import annotations

import json
from typing import Any

import pytest
from jinja2 import TemplateError
from jinja2.exceptions import SecurityError

from cria.prompt.template_environment import TemplateRefusal, make_environment


def render(source: str, **variables: Any) -> str:
    return make_environment().from_string(source).render(**variables)


def test_json_is_written_as_models_know_it() -> None:
    assert render("{{ x | tojson }}", x={"a": "<é'&>"}) == '{"a": "<é\'&>"}'
    assert render("{{ x | tojson(indent=1) }}", x=[1]) == "[\n 1\n]"
    assert render("{{ x | map('upper') | tojson }}", x=["a"]) == '["A"]'
    assert render("{{ x | tojson }}", x=object).startswith('"<class')
    assert render("{{ ('[1]' | from_json)[0] }}") == "1"


def test_seams_are_no_part_of_ascii() -> None:
    text = "<\U000f0000|é\\udb80\\udc00\\\U000f0001"
    written = render("{{ x | tojson(ensure_ascii=true) }}", x=text)
    assert json.loads(written) == text
    assert [char for char in written if char > "~"] == ["\U000f0000", "\U000f0001"]


def test_blocks_leave_no_blank_lines() -> None:
    assert render("  {% if true %}\nx\n  {% endif %}\ny") == "x\ny"


def test_loops_can_be_left() -> None:
    assert render("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}")


def test_the_generation_tag_keeps_its_body() -> None:
    assert render("a{% generation %}b{{ x }}{% endgeneration %}d", x="c") == "abcd"


def test_a_template_can_refuse() -> None:
    with pytest.raises(TemplateRefusal, match="no such role"):
        render("{{ raise_exception('no such role') }}")


def test_the_date_is_known() -> None:
    assert len(render("{{ strftime_now('%Y-%m-%d') }}")) == 10


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ lipsum.__globals__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ raise_exception.__globals__ }}",
        "{{ ('' | attr('__class__')).x }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update(a=1) }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ ('{0.__class__}' | safe).format(1) }}",
        "{{ ('{a.__class__}' | e).format_map({'a': 1}) }}",
        "{% autoescape true %}{% set x %}{0.__class__}{% endset %}{{ x.format(1) }}"
        "{% endautoescape %}",
        "{{ (('{0.__class__}' | safe) ~ '').format(1) }}",
        "{{ range(1000000) | list }}",
        "{% include '/etc/passwd' %}",
        "{{ undefined_name.attribute }}",
    ],
)
def test_the_sandbox_holds(source: str) -> None:
    messages: list[Any] = [{}]
    try:
        text = render(source, messages=messages)
    except (SecurityError, TemplateError, OverflowError, TypeError):
        text = ""
    assert "class" not in text
    assert "root:" not in text
    assert messages == [{}]


def test_a_namespace_is_not_spelled_out() -> None:
    assert render("{% set ns = namespace(a=1) %}{% set ns.b = 2 %}{{ ns }}{{ ns.a + ns.b }}") == (
        "<namespace>3"
    )


def test_lists_can_be_changed_where_that_is_asked_for() -> None:
    source = "{% set l = [1] %}{% set _ = l.append(2) %}{{ l }}{% set _ = l.pop() %}{{ l }}"
    template = make_environment(may_append=True).from_string(source)
    assert template.render() == "[1, 2][1]"
    with pytest.raises(SecurityError):
        render(source)
    for other in ("{{ l.clear() }}", "{{ l.sort() }}", "{{ {}.update(a=1) }}"):
        with pytest.raises(SecurityError):
            make_environment(may_append=True).from_string(other).render(l=[1])


@pytest.mark.parametrize("indent", ["'-'", "17"])
def test_json_is_indented_by_a_few_blanks(indent: str) -> None:
    with pytest.raises(TemplateError):
        render("{{ [1] | tojson(indent=" + indent + ") }}")


def test_there_is_no_text_of_no_meaning() -> None:
    assert render("{{ lipsum is defined }}") == "False"


def test_a_format_of_the_date_is_checked() -> None:
    with pytest.raises(TemplateError):
        render("{{ strftime_now('%99999999d') }}")
