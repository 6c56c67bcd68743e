"""What is asked of the build: options, a plan, or something that it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cria_build.errors import BuildError
from cria_build.options import parse_options
from cria_build.plan import make_plan
from tests.build_native.fakes import fake_source, make_tree


def parse(*argv: str, **env: str) -> Any:
    return parse_options(argv, env)


def plan_for(tmp_path: Path, *argv: str) -> Any:
    return make_plan(parse(*argv), fake_source(make_tree(tmp_path)))


def refused(function: Callable[..., Any], *arguments: Any) -> str:
    """The one sentence with which `function` refuses `arguments`."""
    with pytest.raises(BuildError) as caught:
        function(*arguments)
    sentence = str(caught.value)
    assert sentence.endswith((".", ")")) and "\n" not in sentence
    return sentence
