from __future__ import annotations

import math

import pytest

from tests.soak.statistics import percentile, slope


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(value) for value in range(1, 101)]
    assert percentile(values, 99) == 99
    assert percentile(values, 50) == 50
    assert percentile([7.0], 99) == 7
    assert math.isnan(percentile([], 99))


def test_the_slope_of_a_line_and_of_noise_around_it() -> None:
    assert slope([(x, 3 * x + 1) for x in range(5)]) == pytest.approx(3)
    assert slope([(0, 1), (1, -1), (2, 1), (3, -1), (4, 1)]) == pytest.approx(0)
    assert math.isnan(slope([(0, 1)])) and math.isnan(slope([(1, 1), (1, 2)]))
