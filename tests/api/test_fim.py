from __future__ import annotations

import json
from typing import Any

import pytest

from cria.api.decoding import decode
from cria.api.fim import FimRequest
from cria.errors import RequestError


def decode_fim(**fields: Any) -> tuple[FimRequest, tuple[str, ...]]:
    return decode(json.dumps({"model": "m", "prompt": "a", **fields}).encode(), FimRequest)


def test_it_is_a_completion_without_a_limit() -> None:
    request, warnings = decode_fim(suffix="b", temperature=0, stop=["x"], stream=True)
    assert (request.prompt_list(), request.suffix, request.stop) == (["a"], "b", ("x",))
    assert (request.token_limit(), request.stream, warnings) == (-1, True, ())
    assert decode_fim(max_tokens=5)[0].token_limit() == 5


def test_the_seed_has_another_name() -> None:
    assert decode_fim(random_seed=7)[0].sampling_params().seed == 7
    assert decode_fim(random_seed=7, seed=7)[0].sampling_params().seed == 7
    assert decode_fim(seed=8)[0].sampling_params().seed == 8
    with pytest.raises(RequestError) as caught:
        decode_fim(random_seed=7, seed=8)
    assert (caught.value.param, caught.value.code) == ("random_seed", "invalid_value")


@pytest.mark.parametrize("fields", [{"echo": True}, {"logprobs": 0}, {"logprobs": 2}])
def test_what_the_answer_has_no_place_for_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as caught:
        decode_fim(**fields)
    assert caught.value.param == next(iter(fields))
    assert caught.value.code == "unsupported_parameter"
    assert decode_fim(echo=False, logprobs=None)[1] == ()
