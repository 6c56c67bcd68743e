from __future__ import annotations

import msgspec
import pytest

from cria.model_store.hub_messages import Failure, HubFile, Listing, decode, encode


@pytest.mark.parametrize(
    "message",
    [Listing([HubFile("a/b", 3, None, "u")]), Failure("gated"), Failure("refused", "500")],
)
def test_there_and_back(message: Listing | Failure) -> None:
    assert decode(encode(message)) == message


def test_nonsense_is_no_message() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(b"Traceback")
