"""Try a model's chat template where it can do no harm: `python -m cria.prompt.template_trial`.

A template is a program that came with the model. What it may do to a request is limited
(`render_limits`); but when a model is loaded, it is compiled and rendered many times, and a server
that spends all these limits does not start. So whatever is done with a template first is done in a
child process that has little time and little memory. The child has the template as JSON on its
standard input and says with its exit code how it went.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from types import FrameType
from typing import Any

from cria.errors import RequestError
from cria.prompt.chat_template import ChatTemplate
from cria.prompt.formats import formats_of
from cria.prompt.render_limits import RenderLimit

CPU_SECONDS = 5
WALL_SECONDS = 10.0
"""Longer: the machine may be busy, and the child may have to wait."""
MEMORY_BYTES = 2**30

LIMITS = {"RLIMIT_CPU": CPU_SECONDS, "RLIMIT_AS": MEMORY_BYTES, "RLIMIT_CORE": 0}
TOO_MUCH = "This model's chat template takes too long or too much memory."

_OUT_OF_MEMORY = 3
_OVER_A_LIMIT = (_OUT_OF_MEMORY, -signal.SIGKILL, -signal.SIGXCPU)

_CONVERSATION = [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "Hello"},
]


def problem_of(source: str, bos_token: str, eos_token: str) -> str | None:
    """One sentence if this process should not touch the template.

    One that does not compile, or refuses a conversation, is harmless: `ChatTemplate` answers that.
    """
    command = [sys.executable, "-m", "cria.prompt.template_trial"]
    try:
        done = subprocess.run(
            command,
            input=json.dumps([source, bos_token, eos_token]).encode(),
            # Nobody writes to it, but gevent minds the timeout only while there is a pipe to read.
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=WALL_SECONDS,
            start_new_session=True,  # Ctrl-C is for us, and then nobody asks how the trial went
        )
    except subprocess.TimeoutExpired:
        return TOO_MUCH
    except OSError as error:
        return f"This model's chat template could not be tried ({error})."
    if done.returncode in _OVER_A_LIMIT:
        return TOO_MUCH
    if done.returncode:
        return f"This model's chat template ended its trial with exit code {done.returncode}."
    return None


def main() -> None:
    """The child."""
    for name, limit in LIMITS.items():
        _set_limit(name, limit)
    sys.settrace(_end_if_out_of_memory)
    _use(*json.load(sys.stdin.buffer))


def _set_limit(name: str, limit: int) -> None:
    # Not every platform has each of them or lets it be set, and there may be a lower one already.
    with suppress(AttributeError, ValueError, OSError):
        resource.setrlimit(getattr(resource, name), (limit, limit))


def _use(source: str, bos_token: str, eos_token: str) -> None:
    """What the server would do: compile, probe, find out the formats, and render."""
    template = ChatTemplate(source, bos_token, eos_token)
    formats_of(template, {})
    with suppress(RequestError):
        template.render(_CONVERSATION)


def _end_if_out_of_memory(frame: FrameType, event: str, value: Any) -> Any:
    """A trace function, since Jinja's compiler and our probes go on after a `MemoryError`.

    They would with the same template in the server too, but there the memory might be had. One
    that is ended by the limits on rendering would be so with every request.
    """
    frame.f_trace_lines = False  # lines are many, and of no interest
    if event == "exception" and issubclass(value[0], (MemoryError, RenderLimit)):
        os._exit(_OUT_OF_MEMORY)
    return _end_if_out_of_memory


if __name__ == "__main__":
    main()
