from __future__ import annotations

import msgspec

from cria.api.responses.response_object import Response, response_usage
from cria.api.usage import Usage

KEYS = set(
    "id object created_at completed_at status background error incomplete_details instructions "
    "max_output_tokens max_tool_calls metadata model output parallel_tool_calls "
    "previous_response_id prompt_cache_key prompt_cache_retention reasoning safety_identifier "
    "service_tier store temperature text tool_choice tools top_logprobs top_p truncation usage "
    "user".split()
)


def test_every_key_is_there() -> None:
    made = msgspec.json.decode(msgspec.json.encode(Response(id="resp_1", created_at=1, model="m")))
    assert set(made) == KEYS
    assert made["object"] == "response"
    assert made["text"] == {"format": {"type": "text"}, "verbosity": "medium"}
    assert made["usage"] is None


def test_usage_has_its_details() -> None:
    assert msgspec.to_builtins(response_usage(Usage(5, 3, 2, 1))) == {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 8,
    }
