"""Thins out points of curves and steps of pictures, to what a page has room for."""

from typing import TypeVar

T = TypeVar("T")


def thin_curve(points: list[tuple[int, float]], max_points: int) -> list[tuple[int, float]]:
    """Keep the first and the last point, and the lowest and the highest of each equal stretch between them.

    Args:
        points: Pairs of step, ascending, and finite value.
        max_points: At least 4.

    Returns:
        At most ``max_points`` points.
    """
    if len(points) <= max_points:
        return points
    num_stretches, num_inner = (max_points - 2) // 2, len(points) - 2
    kept = {0, len(points) - 1}
    for number in range(num_stretches):
        begin, end = (1 + place * num_inner // num_stretches for place in (number, number + 1))
        kept.add(min(range(begin, end), key=lambda index: points[index][1]))
        kept.add(max(range(begin, end), key=lambda index: points[index][1]))
    return [points[index] for index in sorted(kept)]


def thin_steps(items: list[T], num_kept: int) -> list[T]:
    """Keep the last item, and evenly spaced others, ``num_kept`` in all.

    >>> thin_steps([1, 2, 3, 4, 5], 3), thin_steps([1, 2, 3], 1)
    ([1, 3, 5], [3])
    """
    if len(items) <= num_kept:
        return list(items)
    last, num_gaps = len(items) - 1, max(num_kept - 1, 1)
    return [items[last - number * last // num_gaps] for number in range(num_kept)][::-1]
