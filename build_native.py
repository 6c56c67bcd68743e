#!/usr/bin/env python3
"""Fetch llama.cpp, build it, prove that it works, install it into `cria/native/lib/`.

Runs on a bare Python, before anything is installed: standard library only, never imports cria.

1. What is installed has passed its check: it is made beside the old libraries and swapped in last.
2. A failure that a user can cause or repair is a BuildError: one sentence, never a traceback.
3. The options, the sources, the compiler and the CPU decide what is built. Their hash, the key in
   BUILD_INFO.json, makes a second run a no-op.

This file is the door: arguments in, exit code out. The steps are modules in `native/cria_build/`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent / "native"))

from cria_build import paths
from cria_build.build import build
from cria_build.errors import BuildError, explain
from cria_build.info import print_info
from cria_build.options import parse_options


def main(argv: Sequence[str] | None = None) -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        return run(argv)
    except BuildError as error:
        tail = "".join(f"  | {line}\n" for line in error.tail)
        print(f"{tail}build_native.py: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read our output has had enough: the rest of it goes nowhere, without a word.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        print(f"build_native.py: {explain(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("build_native.py: interrupted; what was installed is untouched.", file=sys.stderr)
        return 130


def run(argv: Sequence[str] | None) -> int:
    """Whatever is printed has left when this ends, `--help` included."""
    try:
        options = parse_options(argv, os.environ)
        return print_info(paths.LIB) if options.info else build(options)
    finally:
        print(end="", flush=True)


def interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
