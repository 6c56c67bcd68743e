from __future__ import annotations

import msgspec

from cria.api.usage import Usage, usage_object


def test_usage_has_every_key() -> None:
    assert msgspec.to_builtins(usage_object(Usage(5, 7, 3))) == {
        "prompt_tokens": 5,
        "completion_tokens": 7,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
