"""Requests that schemathesis draws from the server's own `/openapi.json`, valid and not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from tests.real_server import RealServer

pytestmark = [pytest.mark.hostile, pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def fuzzed(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    options = ("--alias", "tiny", "--parallel", "4", "--context-size", "256")
    log = tmp_path_factory.mktemp("fuzzed") / "log"
    with RealServer.start(tiny_gguf, *options, log=log) as running:
        yield running
        assert running.wait_until_idle()["restarts"] == 0
        assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def api(fuzzed: RealServer) -> Any:
    return schemathesis.openapi.from_url(f"{fuzzed.url}/openapi.json")


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    negative_data_rejection,
    response_schema_conformance,
]
"""The last one takes each event of a stream for all of it."""


def name_the_model(body: object) -> None:
    """Any other model would be a 404."""
    if isinstance(body, dict) and "model" in body:
        body["model"] = "tiny"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_what_the_document_says_holds(api: Any, mode: GenerationMode) -> None:
    failed, statuses = [], Counter[int]()
    for result in api.get_all_operations():
        operation = result.ok()
        if operation.path.endswith("/models/sse"):
            continue  # It tells what becomes of the models, and has no end.

        @given(operation.as_strategy(generation_mode=mode))
        @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
        def check(case: Any) -> None:
            if (
                mode is GenerationMode.POSITIVE
                and isinstance(case.body, dict)
                and "model" in case.body
            ):
                case.body["model"] = "tiny"  # any other one is a 404
            answer = case.call(timeout=60)
            is_stream = "event-stream" in answer.headers.get("content-type", [""])[0]
            case.validate_response(answer, checks=CHECKS[:-1] if is_stream else CHECKS)
            statuses[answer.status_code] += 1

        try:
            check()
        except Unsatisfiable:  # nothing in it can be wrong
            continue
        except Exception as error:
            failed.append(f"{operation.label}: {error}")
    assert statuses[200 if mode is GenerationMode.POSITIVE else 400] > 40, statuses
    assert not failed, "\n\n".join(failed)
