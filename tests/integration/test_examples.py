"""Every file in `examples/` runs, against a real server, and prints what it should."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

EXAMPLES = Path(__file__).parents[2] / "examples"
COMMANDS = {".sh": ["sh"], ".py": [sys.executable]}
EXPECTED = {
    "models.sh": r'^\{"object":"list","data":\[\{"object":"model","id":"smollm2"',
    "completion.sh": r'"object":"text_completion".*"text":".+".*"finish_reason":"(stop|length)"',
    "completion_stream.sh": r'"text":".+"(?s:.*)"finish_reason":"(stop|length)"(?s:.*)\[DONE\]\s*$',
    "chat.sh": r'"object":"chat.completion".*"content":".+".*"finish_reason":"(stop|length)"',
    "chat_stream.sh": r'"role":"assistant"(?s:.*)"usage":\{"prompt_tokens":\d+(?s:.*)\[DONE\]\s*$',
    "messages.sh": r'"type":"message".*"content":\[\{"type":"text","text":".+"stop_reason":"\w+"',
    "embeddings.sh": r'"object":"list","data":\[\{"object":"embedding","index":0,"embedding":\[-?0',
    "openai_embeddings.py": r"^(0\.\d{3}  [\w ]+\.\n){2}$",
    "openai_chat.py": r"\w+(?s:.*)\n\(\d+ \+ \d+ tokens\)\n(?s:.*)\w+",
    "openai_completion.py": r"^Once upon a time(?s:.*)\nOnce upon a time(?s:.*)\w+",
    "choice.sh": r'"content":"(yes|no)".*"finish_reason":"stop"',
    "openai_tools.py": r'(?s)^temperature\(.*"city".*\) = \{"city": "',
    "responses.sh": r'"object":"response"(?s:.*)"previous_response_id":"resp_\w+"',
    "run.sh": r"^[^a-z]*[A-Z][^a-z]*\n$",
    "openai_structured.py": r"^sky='(clear|cloudy|rain)' wind=\d{1,2}$",
    "sse_client.py": r"\w+",
    "urllib3_stream.py": r"\w+",
}


def test_every_example_has_its_test() -> None:
    """The configuration's is `tests/cli/test_config_file.py`."""
    found = {path.name for path in EXAMPLES.iterdir() if path.is_file()}
    assert found == {*EXPECTED, "cria.toml"}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_example(name: str, server_url: str) -> None:
    path = EXAMPLES / name
    done = subprocess.run(
        [*COMMANDS[path.suffix], str(path)],
        env={**os.environ, "CRIA_URL": server_url, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(EXPECTED[name], done.stdout), done.stdout
