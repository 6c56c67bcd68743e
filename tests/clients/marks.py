"""What the tests of clients are marked with."""

import pytest

CLIENT = [
    pytest.mark.clients,
    # Some leave sockets and event loops to the garbage collector, which finds them in other tests.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]
