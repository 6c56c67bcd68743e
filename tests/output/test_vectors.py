from __future__ import annotations

import numpy as np
import pytest

from cria.output.vectors import scores, unit_vectors

DATA = np.array([[3, 4, 0], [0, 0, 2], [0, 0, 0]], "<f4").tobytes()


def test_vectors_have_the_length_one() -> None:
    expected = [[0.6, 0.8, 0], [0, 0, 1], [0, 0, 0]]
    found = unit_vectors(DATA, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_cut_vectors_have_it_too() -> None:
    np.testing.assert_allclose(unit_vectors(DATA, 3, 1), [[1], [0], [0]])
    np.testing.assert_allclose(unit_vectors(DATA, 3, 3), unit_vectors(DATA, 3))


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_very_long_and_very_short_vectors(scale: float) -> None:
    data = np.array([[3 * scale, 4 * scale]], "<f4").tobytes()
    np.testing.assert_allclose(unit_vectors(data, 1), [[0.6, 0.8]], rtol=1e-6)


def test_a_score_is_the_first_number() -> None:
    assert scores(DATA, 3) == [3.0, 0.0, 0.0]
    assert scores(DATA, 9) == [3.0, 4.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0]
