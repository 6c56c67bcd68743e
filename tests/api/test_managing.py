"""Shapes of llama-server's router."""

from __future__ import annotations

import json

from cria.api.managing import LoadProgress, ModelStatus, encode_event


def test_an_event() -> None:
    status = ModelStatus("loading", LoadProgress(0.5, ["text_model"], "text_model"))
    assert json.loads(encode_event("m", status)) == {
        "model": "m",
        "event": "model_status",
        "data": {
            "status": "loading",
            "progress": {"stages": ["text_model"], "current": "text_model", "value": 0.5},
        },
    }
