"""Short templates, one for each thing that the models' own do."""

from __future__ import annotations

CHATML = """\
{% for message in messages %}
{{- '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}
{%- if message.tool_calls %}
{% for call in message.tool_calls %}
{{ call.function.name }} {{ call.function.arguments | tojson }}
{% endfor %}
{% endif %}
{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}
"""

NO_SYSTEM = """\
{{ bos_token }}
{%- for message in messages %}
{% if message.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
[{{ message.role }}] {{ message.content | trim }} {{ eos_token }}
{%- endfor %}
"""

SYSTEM_FIRST = """\
{% if messages[0].role == 'system' %}{% set system = messages[0].content %}{% endif %}
SYSTEM {{ system }}
{% for message in messages if message.role != 'system' %}
{{ message.role }}: {{ message.content }}
{% endfor %}
"""

ARGUMENTS_AS_TEXT = """\
{% for message in messages %}
{{ message.role }}: {{ message.content }}
{% for call in message.tool_calls or [] %}
{{ '{"name": "' + call.function.name + '", "arguments": ' + call.function.arguments + '}' }}
{% endfor %}
{% endfor %}
"""

PRINTS_ARGUMENTS = """\
{% for message in messages %}
{{ message.role }}: {{ message.content }}
{% for call in message.tool_calls or [] %}
{{ call.function.arguments }}
{% endfor %}
{% endfor %}
"""

DROPS_THINKING = """\
{% for message in messages %}
{% set content = message.content %}
{% if message.role == 'assistant' and '</think>' in content %}
{% set content = content.split('</think>')[-1] | trim %}
{% endif %}
<|im_start|>{{ message.role }}
{{ content }}<|im_end|>
{% endfor %}
"""

DROPS_ANSWERS = """\
{% for message in messages %}
{{ message.role }}: {{ message.content if message.role != 'assistant' else '(an answer)' }}
{% endfor %}
"""

REPEATS_ANSWERS = """\
{% for message in messages %}
{{ message.role }}: {{ message.content }} ({{ message.content }})
{% endfor %}
"""

THINKS = """\
{% for message in messages %}
<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}
{% if add_generation_prompt %}
<|im_start|>assistant
{% if enable_thinking is defined and not enable_thinking %}
<think></think>
{% endif %}
{% endif %}
"""

TOOLS = """\
{% if tools %}TOOLS {{ tools | tojson }}
{% endif %}
{% for message in messages %}
<|im_start|>{{ message.role }}{{ ' ' + message.name if message.name else '' }}
{{ message.content }}
{% for call in message.tool_calls or [] %}
CALL {{ call.id }} {{ call.function.name }} {{ call.function.arguments | tojson }}
{% endfor %}
<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
"""

TOOLS_AS_TEXT = TOOLS.replace("call.function.arguments | tojson", "call.function.arguments + ''")
TOOLS_SHORT_IDS = TOOLS.replace(
    "CALL {{", "{% if call.id | length != 9 %}{{ raise_exception('nine') }}{% endif %}CALL {{"
)
TOOLS_SINGLE = TOOLS.replace("message.tool_calls or []", "(message.tool_calls or [])[:1]")
TOOLS_OR_CONTENT = TOOLS.replace(
    "message.tool_calls or []", "([] if message.content else message.tool_calls or [])"
)
TOOLS_OR_THINKING = TOOLS.replace(
    "{{ message.content }}",
    "{% if message.thinking and message.content and message.tool_calls %}"
    "{{ raise_exception('both') }}{% endif %}{{ message.thinking }}{{ message.content }}",
)
TOOLS_DESCRIBED = TOOLS.replace(
    "{% if tools %}",
    "{% for tool in tools or [] %}{% for name, each in tool.function.parameters.properties.items()"
    " %}{{ name + ': ' + each.description }}{% endfor %}{% endfor %}{% if tools %}",
)
TOOLS_IN_FUNCTIONS = TOOLS.replace("{{ tools | tojson }}", "").replace(
    "{% if tools %}", "{{ functions + datetime }}{% if tools %}"
)
TOOLS_APPENDED = "{% set seen = [] %}" + TOOLS.replace(
    "CALL", "{% set _ = seen.append(call.id) %}CALL"
)
TOOLS_WITHOUT_CALLS = TOOLS.replace("CALL {{ call.id }}", "{% if false %}").replace(
    "arguments | tojson }}", "arguments | tojson }}{% endif %}"
)
"""Each lets one thing of `TOOLS` be missed."""
