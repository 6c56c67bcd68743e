"""Templates that would run for hours or need all memory, if nothing stopped them."""

from __future__ import annotations

LONG = {
    "nested loops": (
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    ),
    "loops that skip": (
        "{% for i in range(99999) %}{% for j in range(99999) if j < 0 %}{% endfor %}{% endfor %}"
    ),
    "macros": (
        "{% macro a() %}{% endmacro %}"
        "{% macro b() %}{% for i in range(9999) %}{{ a() }}{% endfor %}{% endmacro %}"
        "{% for i in range(99999) %}{{ b() }}{% endfor %}"
    ),
    "macros that call themselves twice": (
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}"
    ),
    "a loop that calls itself": (
        "{% for i in [60] recursive %}{% if i %}{{ loop([i - 1, i - 1]) }}{% endif %}{% endfor %}"
    ),
    "blocks": "".join(
        f"{{% block b{n} %}}{{{{ self.b{n + 1}() }}}}{{{{ self.b{n + 1}() }}}}{{% endblock %}}"
        for n in range(60)
    )
    + "{% block b60 %}{% endblock %}",
    "filters in filters": (
        "{% for i in range(99999) %}{{ range(99999) | map('string') | list | length }}{% endfor %}"
    ),
    "call blocks": (
        "{% macro f() %}{% for i in range(99999) %}{{ caller() }}{% endfor %}{% endmacro %}"
        "{% call f() %}{% call f() %}{% endcall %}{% endcall %}"
    ),
}

START = "{%% set ns = namespace(x='ab') %%}"
DOUBLE = START + "{%% for i in range(80) %%}%s{%% endfor %%}{{ ns.x | length }}"

LARGE = {
    "+": DOUBLE % "{% set ns.x = ns.x + ns.x %}",
    "~": DOUBLE % "{% set ns.x = ns.x ~ ns.x %}",
    "*": DOUBLE % "{% set ns.x = ns.x * 2 %}",
    "%": DOUBLE % "{% set ns.x = '%s%s' % (ns.x, ns.x) %}",
    "set": DOUBLE % "{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = y %}",
    "macro": "{% macro f(x) %}{{ x }}{{ x }}{% endmacro %}" + DOUBLE % "{% set ns.x = f(ns.x) %}",
    "argument": (
        "{% macro f(x, n) %}{% if n %}{{ 'a' + f(x + x, n - 1) }}{% endif %}{% endmacro %}"
        "{{ f('ab', 80) }}"
    ),
    "join": DOUBLE % "{% set ns.x = [ns.x, ns.x] | join %}",
    "str.join": DOUBLE % "{% set ns.x = ''.join([ns.x, ns.x]) %}",
    "replace": DOUBLE % "{% set ns.x = ns.x | replace('a', 'aa') %}",
    "str.replace": DOUBLE % "{% set ns.x = ns.x.replace('', ns.x) %}",
    "format": DOUBLE % "{% set ns.x = '%s%s' | format(ns.x, ns.x) %}",
    "str.format": DOUBLE % "{% set ns.x = '{0}{0}'.format(ns.x) %}",
    "translate": DOUBLE % "{% set ns.x = ns.x.translate({97: 'aaaa'}) %}",
    "filter block": DOUBLE % "{% set y %}{% filter upper %}{{ ns.x }}{{ ns.x }}{% endfilter %}"
    "{% endset %}{% set ns.x = y %}",
    "lists": DOUBLE % "{% set ns.x = ns.x + ns.x if i else [0] %}",
    "lists in lists": "{% set ns = namespace(x='ab') %}{% for i in range(80) %}"
    "{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
    "lists in lists as JSON": "{% set ns = namespace(x='ab') %}{% for i in range(80) %}"
    "{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}",
    "lists that are compared": "{% set ns = namespace(x='ab', y='ab') %}{% for i in range(80) %}"
    "{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
    "tuples that are hashed": "{% set ns = namespace(x='ab') %}{% for i in range(80) %}"
    "{% set ns.x = (ns.x, ns.x) %}{% endfor %}{{ {}[ns.x] }}",
    "dicts": "{% set ns = namespace(x='ab') %}{% for i in range(80) %}"
    "{% set ns.x = dict(a=ns.x, b=ns.x) %}{% endfor %}{{ ns.x }}",
    "arguments of a macro": "{% set ns = namespace(x='ab') %}"
    "{% macro f() %}{% set ns.x = varargs %}{% endmacro %}"
    "{% for i in range(80) %}{{ f(ns.x, ns.x) }}{% endfor %}{{ ns.x }}",
    "many large texts": "{% set ns = namespace(x=[]) %}{% for i in range(9999) %}"
    "{% set ns.x = ns.x + ['a' * 1000000 ~ i] %}{% endfor %}",
    "a long product": "{{ 'a' * 10 ** 10 }}",
    "a long list": "{{ [0] * 10 ** 10 }}",
    "a large power": "{{ 10 ** (10 ** 8) }}",
    "a large square": "{% set ns = namespace(x=7) %}{% for i in range(80) %}"
    "{% set ns.x = ns.x * ns.x %}{% endfor %}{{ ns.x }}",
    "a wide center": "{{ 'a' | center(9999999999) }}",
    "a wide str.center": "{{ 'a'.center(9999999999) }}",
    "a wide Markup.center": "{{ ('a' | safe).center(9999999999) }}",
    "escaped sums": "{% autoescape true %}"
    + (DOUBLE % "{% set ns.x = ns.x + ns.x ~ '<' %}")
    + "{% endautoescape %}",
    "a wide str.zfill": "{{ 'a'.zfill(9999999999) }}",
    "wide tabs": "{{ '\t'.expandtabs(9999999999) }}",
    "a wide indent": "{{ 'a\na' | indent(9999999999) }}",
    "a wide JSON": "{{ [[1]] | tojson(indent=999999999) }}",
    "a wide format": "{{ '%99999999999d' % 1 }}",
    "a wide str.format": "{{ '{:>99999999999}'.format(1) }}",
    "a width from an argument": "{{ '{:>{w}}'.format(1, w=99999999999) }}",
    "a format with a star": "{{ '%*d' % (99999999999, 1) }}",
    "many slices": "{{ [1] | slice(9999999999) | list }}",
    "a batch": "{{ [1] | batch(9999999999, 0) | list }}",
    "bytes of a number": "{{ (1).to_bytes(9999999999) }}",
    "a long range": "{{ range(10 ** 12) | list }}",
    "a precision": "{{ 1.5 | round(999999999, 'ceil') }}",
    "sorted copies": "{{ (['a' * 30000000] * 99999) | sort }}",
    "copies in a list": "{{ (['a' * 30000000] * 99999) | string }}",
    "stripped characters": "{{ 'a' * 1000000 | trim('b' * 1000000 ~ 'a') }}",
    "pieces": "{{ ('a ' * 9999999).split() | length }}",
}
