from __future__ import annotations

import json

from cria.api.extras import NO_EXTRAS, Extras, Truncated, encode_members
from cria.api.timings import Timings, timings_object

TIMINGS = timings_object(Timings(0.5, 0.1, 2.0, 20, 5, 5, 4, "differs_at", 5))


def test_members_go_into_an_object() -> None:
    extras = Extras(TIMINGS, Truncated("truncate_left", 9, 5))
    made = json.loads(b'{"id":1%b}' % encode_members(extras))
    assert made["truncated"] == {"policy": "truncate_left", "prompt_tokens": 9, "kept_tokens": 5}
    assert made["timings"]["predicted_n"] == 5
    assert set(made) == {"id", "timings", "truncated"}


def test_nothing_is_no_member() -> None:
    assert encode_members(NO_EXTRAS) == b""
    assert b"truncated" not in encode_members(Extras(TIMINGS))


def test_what_was_neither_cut_nor_shifted_says_nothing() -> None:
    assert not Truncated("shift", 5, 5).says_something
    assert Truncated("shift", 5, 5, shifts=1).says_something
    assert Truncated("truncate_left", 6, 5).says_something


def test_counts_that_are_zero_are_left_out() -> None:
    extras = Extras(truncated=Truncated("shift", 5, 5, shifts=2))
    made = json.loads(b"{%b}" % encode_members(extras)[1:])
    assert made["truncated"] == {
        "policy": "shift",
        "prompt_tokens": 5,
        "kept_tokens": 5,
        "shifts": 2,
    }
