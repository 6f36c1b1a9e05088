import random
from itertools import pairwise

import pytest
from my_project.engine.report.thinning import thin_curve, thin_steps


@pytest.mark.parametrize(("num_points", "max_points"), [(5000, 1000), (1001, 1000), (50, 4), (7, 5)])
def test_a_thinned_curve_keeps_its_ends_and_extremes(num_points: int, max_points: int) -> None:
    values = random.Random(num_points)
    points = [(3 * step, values.gauss(0, 1)) for step in range(num_points)]

    thin = thin_curve(points, max_points)

    assert len(thin) <= max_points
    assert thin == sorted(set(thin) & set(points))
    assert {points[0], points[-1]} <= set(thin)
    for extreme in (min, max):
        assert extreme(thin, key=lambda point: point[1]) == extreme(points, key=lambda point: point[1])


def test_a_short_curve_stays_whole() -> None:
    points = [(step, 0.5) for step in range(1000)]

    assert thin_curve(points, 1000) == points


@pytest.mark.parametrize("num_kept", [1, 2, 3, 7, 19])
def test_kept_steps_are_even_and_end_with_the_newest(num_kept: int) -> None:
    kept = thin_steps(list(range(20)), num_kept)

    gaps = [after - before for before, after in pairwise(kept)]
    assert len(kept) == num_kept
    assert kept[-1] == 19
    assert not gaps or max(gaps) - min(gaps) <= 1
