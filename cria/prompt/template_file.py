"""The operator's own chat template: a file with a Jinja source."""

from __future__ import annotations

from pathlib import Path

from cria.errors import SetupError
from cria.prompt.template_program import compile_source
from cria.prompt.template_trial import problem_of

MAX_BYTES = 1024 * 1024


def read_template(path: str) -> str:
    """The source; SetupError says why it cannot be used.

    It is tried as a model's own is, without the model's tokens: those do not matter to it.
    """
    source = _read(path)
    # Compiled here only if that did no harm elsewhere.
    problem = problem_of(source, "", "") or compile_source(source)[1]
    if problem:
        raise SetupError(f"--chat-template {path}: {_of_the_file(problem)}")
    return source


def _read(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SetupError(f"--chat-template {path} cannot be read: {error.strerror}.") from error
    if len(data) > MAX_BYTES:
        raise SetupError(f"--chat-template {path} has more than {MAX_BYTES} bytes.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SetupError(f"--chat-template {path} is not UTF-8.") from error


def _of_the_file(problem: str) -> str:
    return problem.replace("This model's chat template", "it").replace(
        "This model has no chat template", "it is empty"
    )
