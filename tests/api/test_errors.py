from __future__ import annotations

import json

from cria.api.errors import encode_error


def test_all_four_keys_are_there() -> None:
    assert json.loads(encode_error("No.", "invalid_request_error", None, None)) == {
        "error": {"message": "No.", "type": "invalid_request_error", "param": None, "code": None}
    }


def test_a_message_may_quote_broken_text() -> None:
    body = json.loads(encode_error("\ud800 é", "server_error", "n", "invalid_type"))
    assert body["error"]["message"] == "? é"
    assert (body["error"]["param"], body["error"]["code"]) == ("n", "invalid_type")
