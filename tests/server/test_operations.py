from __future__ import annotations

from cria.server.operations import Operation, describe, operation_of


def test_a_description_stays_with_its_view() -> None:
    operation = Operation("Say hello.")

    @describe(operation)
    def hello() -> str:
        return "hello"

    assert hello() == "hello"
    assert operation_of(hello) is operation
    assert operation_of(test_a_description_stays_with_its_view) is None
