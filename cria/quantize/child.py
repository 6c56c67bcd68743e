"""The process that quantises: `python -m cria.quantize.child JOB`.

Its exit code is 0, or the last line on standard error is the reason.
"""

from __future__ import annotations

import sys

import msgspec

from cria.errors import CriaError
from cria.native import library, process
from cria.native.quantizing import quantize
from cria.quantize import Job


def main(job: Job) -> int:
    """The exit code."""
    process.become_expendable()
    library.hide_gpus()
    try:
        quantize(library.load(), job.source, job.target, job.wishes)
    except CriaError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(msgspec.json.decode(sys.argv[1], type=Job)))
