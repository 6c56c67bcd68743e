from __future__ import annotations

import pytest

from cria.generation.death import Death
from cria.generation.open_requests import OpenRequest
from cria.ipc.messages import Embed, Submit
from cria.sampling_params import SamplingParams

CRASH, KILL = Death("was ended by SIGABRT"), Death("was ended by SIGKILL", is_foreign=True)


@pytest.mark.parametrize(
    ("death", "is_running", "was_heard", "goes_on", "may_retry"),
    [
        (CRASH, False, False, True, True),
        (CRASH, True, False, False, False),
        (CRASH, True, True, False, False),
        (KILL, True, False, True, True),
        (KILL, True, True, False, True),
    ],
)
def test_who_goes_on(
    death: Death, is_running: bool, was_heard: bool, goes_on: bool, may_retry: bool
) -> None:
    request = OpenRequest(Submit(1, [1], SamplingParams()), lambda _: None)
    request.is_running, request.was_heard = is_running, was_heard
    assert request.may_go_on_after(death) is goes_on
    assert request.obituary(death, 3.0).may_retry is may_retry
    request.wait_for_next()
    assert not request.may_go_on_after(death), "once is enough"
    assert not request.is_suspect_of(death), "it was not there"


def test_nobody_knows_whether_an_embedding_was_running() -> None:
    assert OpenRequest(Embed(1, [[1]]), lambda _: None).is_suspect_of(CRASH)
