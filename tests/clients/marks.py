"""What the tests of clients are marked with."""

import pytest

CLIENT = [
    pytest.mark.clients,
    # Some leave sockets and event loops to the garbage collector, which finds them in other tests.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

# What the server does not do yet: such a test fails, and says so as soon as it passes.
EMBEDDINGS = pytest.mark.xfail(reason="the server has no POST /v1/embeddings", strict=True)
