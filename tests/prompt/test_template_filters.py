from __future__ import annotations

from typing import Any

import pytest
from jinja2 import TemplateAssertionError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from cria.prompt.template_environment import make_environment
from cria.prompt.template_filters import OF_WEB_PAGES

VALUES: dict[str, Any] = {
    "s": "b a\nc",
    "l": ["b", "a", "b"],
    "d": {"b": 1, "a": 2},
    "o": [{"k": "b", "n": 1}, {"k": "a", "n": 2}],
}


@pytest.mark.parametrize(
    "expression",
    [
        "l | map('upper') | list",
        "o | map(attribute='k') | join(', ')",
        "o | selectattr('n', 'equalto', 1) | list",
        "o | rejectattr('n', 'gt', 1) | map(attribute='k') | first",
        "l | select('in', ['a']) | list",
        "l | reject('eq', 'a') | join",
        "o | sum(attribute='n')",
        "[1, 2] | sum(start=3)",
        "[] | sum",
        "l | sort",
        "l | sort(reverse=true) | last",
        "o | sort(attribute='k') | map(attribute='n') | list",
        "l | unique | list",
        "o | groupby('k') | map('first') | list",
        "d | dictsort",
        "d | dictsort(by='value') | list",
        "d | list",
        "s | list | length",
        "l | min ~ (l | max)",
        "o | max(attribute='n')",
        "l | batch(2, 'x') | list",
        "l | slice(2) | list",
        "s | center(9)",
        "s | indent",
        "s | indent(2, true)",
        "s | indent('> ', first=true)",
        "s | wordwrap(2)",
        "s | wordwrap(2, wrapstring='|')",
        "'%s and %s' | format('a', 1)",
        "'%(x)s' | format(x=1)",
        "s | replace('a', 'xyz')",
        "s | replace('b', '', 1)",
        "l | join('-')",
        "o | join('-', attribute='k')",
        "1.256 | round(2)",
        "1.5 | round(method='floor')",
        "s | trim",
        "s | trim('b')",
        "[l, d] | string",
        "s | upper | lower | title | capitalize",
        "l | length ~ (l | first) ~ (l | last) ~ (l | reverse | list)",
        "'<' | e ~ ('<' | forceescape)",
        "missing | default('x') | upper",
        "d | items | list",
    ],
)
def test_filters_do_what_jinja_s_do(expression: str) -> None:
    source = "{{ " + expression + " }}"
    expected = ImmutableSandboxedEnvironment().from_string(source).render(VALUES)
    assert make_environment().from_string(source).render(VALUES) == expected


@pytest.mark.parametrize("name", OF_WEB_PAGES)
def test_there_are_no_filters_for_web_pages(name: str) -> None:
    with pytest.raises(TemplateAssertionError):
        make_environment().from_string("{{ x | " + name + " }}")
