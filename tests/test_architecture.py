"""The shape of the code: import contracts, sizes, names, and a README that stays true."""

from __future__ import annotations

import ast
import graphlib
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import cria
from cria.cli.serve import command as serve_command

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "cria"
MODULES = sorted(PACKAGE.rglob("*.py"))
BUILD = REPOSITORY / "native" / "cria_build"
BUILD_MODULES = [REPOSITORY / "build_native.py", *sorted(BUILD.glob("*.py"))]
EVERY = MODULES + BUILD_MODULES
README = (REPOSITORY / "README.md").read_text()

BANNED_NAMES = {"utils.py", "helpers.py", "common.py", "misc.py", "manager.py", "base.py"}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
TABLES = {"native/signatures.py"}
"""Tables, which no limit of lines holds for."""

UNTESTED = {
    # Declarations without logic: what uses them fails if they are wrong.
    "config.py",
    "errors.py",
    "logprobs.py",
    "sampling_params.py",
    "api/events.py",
    "api/head.py",
    "api/health.py",
    "api/responses/output_items.py",
    "api/server_info.py",
    "bench/messages.py",
    "formats/draw.py",
    "cli/bench_options.py",
    "cli/connection_options.py",
    "cli/access_options.py",
    "cli/legacy_options.py",
    "cli/limit_options.py",
    "cli/options.py",
    "cli/stop_options.py",
    "cli/params.py",
    "cli/pool_options.py",
    "cli/architectures.py",
    "ipc/messages.py",
    # Compared field by field with the C side whenever the library is loaded.
    "native/structs.py",
    # Glue between the library and its users: tested with real models in tests/integration.
    "engine/model_runner.py",
    "prompt/loading.py",
    # Entry points: tested as processes.
    "__main__.py",
    "engine/__main__.py",
    "server/worker.py",
}
"""Modules without a test file of their own."""


def names(paths: list[Path]) -> list[str]:
    return [
        str(path.relative_to(PACKAGE if PACKAGE in path.parents else REPOSITORY)) for path in paths
    ]


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            yield node


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports; `from package import module` names the module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = node.module == "cria_build"
            yield from (f"{node.module}.{a.name}" for a in node.names) if inside else [node.module]


def test_import_contracts() -> None:
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_importing_loads_no_native_library() -> None:
    modules = [
        "cria." + name.removesuffix(".py").replace("/", ".")
        for name in names(MODULES)
        if not name.endswith("__.py")
    ]
    # It patches the standard library, which is meant to come first.
    modules.sort(key=lambda name: name != "cria.server.serve")
    program = (
        "import importlib, pathlib\n"
        f"for name in {modules}: importlib.import_module(name)\n"
        "maps = pathlib.Path('/proc/self/maps')\n"
        "print('libllama' in (maps.read_text() if maps.exists() else ''))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize("path", EVERY, ids=names(EVERY))
def test_a_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())) or path.stat().st_size == 0


@pytest.mark.parametrize("path", EVERY, ids=names(EVERY))
def test_sizes(path: Path) -> None:
    if names([path])[0] not in TABLES:
        assert len(path.read_text().splitlines()) <= MAX_FILE_LINES
    for function in functions(path):
        length = (function.end_lineno or 0) - function.lineno
        assert length <= MAX_FUNCTION_LINES, function.name


@pytest.mark.parametrize("path", MODULES, ids=names(MODULES))
def test_nothing_prints(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert "print" not in {call.func.id for call in calls if isinstance(call.func, ast.Name)}


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert not BANNED_NAMES & {path.name for path in EVERY}


def test_every_module_has_its_test_file() -> None:
    missing = {
        name
        for name in names(MODULES)
        if not name.endswith("__init__.py")
        and name not in UNTESTED
        and not (REPOSITORY / "tests" / name).with_name(f"test_{Path(name).name}").exists()
    }
    assert missing == set()


def test_the_list_of_exceptions_is_not_stale() -> None:
    assert set(names(MODULES)) >= UNTESTED


class TestBuild:
    """The build runs before anything is installed, so that no tool's contract covers it."""

    def test_every_module_has_its_test_file(self) -> None:
        untested = {"__init__.py", "paths.py"}  # declarations without logic
        tested = {path.name for path in (REPOSITORY / "tests" / "build_native").glob("test_*.py")}
        needed = {f"test_{path.name}" for path in BUILD_MODULES if path.name not in untested}
        assert needed == tested

    def test_it_needs_the_standard_library_alone(self) -> None:
        known = sys.stdlib_module_names | {"cria_build"}
        roots = {name.partition(".")[0] for path in BUILD_MODULES for name in imports(path)}
        assert roots <= known

    def test_it_has_no_import_cycles(self) -> None:
        graph = {f"cria_build.{path.stem}": set(imports(path)) for path in BUILD_MODULES[1:]}
        graphlib.TopologicalSorter(graph).prepare()


def test_templates_are_rendered_in_one_environment() -> None:
    """A second one, for another kind of prompt, is how sandboxes get forgotten.

    The page for people has one too: for a template of our own, which escapes all that it is given.
    """
    makers = {
        name
        for path, name in zip(MODULES, names(MODULES), strict=True)
        if re.search(r"\bjinja2\b.*\n(.*\n)*.*Environment\(", path.read_text())
    }
    assert makers == {"prompt/template_environment.py", "server/docs_page.py"}


def test_the_version_stands_in_one_place() -> None:
    assert importlib.metadata.version("cria") == cria.__version__
    assert f"## {cria.__version__}" in (REPOSITORY / "CHANGELOG.md").read_text()


class TestReadme:
    def test_it_names_every_package_and_module_at_the_top(self) -> None:
        packages = {f"cria/{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
        modules = {f"cria/{path.name}" for path in PACKAGE.glob("[a-z]*.py")}
        assert {name for name in packages | modules if f"`{name}`" not in README} == set()

    def test_every_file_that_it_names_exists(self) -> None:
        named = set(
            re.findall(r"`((?:cria|examples|tests|native)/[\w/.]*|\w+\.(?:py|cfg))`", README)
        )
        assert len(named) > 20
        assert {name for name in named if not (REPOSITORY / name).exists()} == set()

    def test_a_request_flows_in_eight_sentences_that_each_name_a_file(self) -> None:
        section = README.partition("## How a request flows")[2].partition("\n## ")[0]
        steps = re.split(r"^\d\. ", section, flags=re.MULTILINE)[1:]
        assert len(steps) == 8
        assert all(re.search(r"`cria/\w+(/\w+)+\.py`", step) for step in steps)

    def test_it_lists_the_options_of_serve(self) -> None:
        table = README.partition("## Options of `cria serve`")[2].partition("\n## ")[0]
        listed = set(re.findall(r"`(--[\w-]+)`", table))
        known = {name for param in serve_command.params for name in param.opts}
        known |= {name for param in serve_command.params for name in param.secondary_opts}
        long_names = {name for name in known if name.startswith("--")}
        # Second spellings need no line of their own.
        assert long_names - listed == {"--no-strict", "--prefer-mmap"}
        assert listed <= long_names

    def test_it_has_the_two_commands(self) -> None:
        lines = re.findall(r"^python3 -m venv .*$", README, flags=re.MULTILINE)
        assert [line.split()[-1] for line in lines] == ["serve", ".venv/bin/pytest"]
        assert all("python build_native.py" in line for line in lines)
