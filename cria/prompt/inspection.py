"""Look at a model's vocabulary and template from outside: `python -m cria.prompt.inspection FILE`.

Both are handed to libllama, which may end the process for what nobody knows yet to be bad. So this
is a process of its own, which prints what it has found as one line of JSON.
"""

from __future__ import annotations

import logging
import subprocess
import sys

import msgspec

from cria.errors import CriaError, ModelFileError
from cria.native import devices, library
from cria.prompt.loading import load_text_side

SECONDS = 120.0


class Gpu(msgspec.Struct, frozen=True):
    """A device that this build can compute on."""

    name: str
    free_bytes: int


class Machine(msgspec.Struct, frozen=True):
    """What there is here for a model."""

    free_bytes: int
    """Main memory, within the limits of container and process."""
    gpus: list[Gpu] = []


class Text(msgspec.Struct, frozen=True):
    """What the chat template of a model can do."""

    chats: bool
    problem: str | None = None
    """Why it cannot be used, if it cannot."""
    takes_tools: bool = False
    thinks: bool = False
    """The template has a place for what the model thinks before it answers."""


class Inspection(msgspec.Struct, frozen=True):
    """Of a model, on this machine."""

    machine: Machine
    text: Text


def inspect(path: str) -> Inspection:
    """By a child process; SetupError or ModelFileError says why that is impossible."""
    command = [sys.executable, "-m", "cria.prompt.inspection", path]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise ModelFileError(f"Reading {path} has taken more than {SECONDS:.0f} s.") from None
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ModelFileError(lines[-1] if lines else f"llama.cpp cannot read {path}.")
    return msgspec.json.decode(done.stdout, type=Inspection)


def main() -> int:
    """0 if the line is there; else the last line on standard error is the reason."""
    logging.disable()  # what there is to say of the template is in the answer
    try:
        answer = Inspection(_machine(), _text(sys.argv[1]))
    except CriaError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(answer))
    return 0


def _machine() -> Machine:
    found = devices.gpus(library.load())
    gpus = [Gpu(each.description, each.free_bytes) for each in found]
    return Machine(devices.free_main_memory(), gpus)


def _text(path: str) -> Text:
    side = load_text_side(path)
    template = side.template
    return Text(
        not template.problem,
        template.problem,
        template.takes_tools,
        side.formats.reasoning is not None,
    )


if __name__ == "__main__":
    sys.exit(main())
