"""The result of a benchmark: a ratio of two variants, measured round by round."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median, quantiles
from typing import ClassVar


@dataclass(kw_only=True)
class Ratio:
    """A ratio with its spread, and whether it meets its target.

    Attributes:
        name: What is compared.
        values: The ratio of each round, for the spread.
        value: The ratio; ``None`` is the median of ``values``.
        at_least: Target from below, or ``None``.
        at_most: Target from above, or ``None``.
        note: Absolute values, for orientation only.
    """

    HEADER: ClassVar[str] = (
        "| ratio | value | 10 % .. 90 % | target | met | absolute |\n|---|---|---|---|---|---|"
    )

    name: str
    values: Sequence[float]
    value: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the ratio is on the right side of each target."""
        above = self.at_least is None or self.ratio >= self.at_least
        return above and (self.at_most is None or self.ratio <= self.at_most)

    @property
    def ratio(self) -> float:
        """:attr:`value`, or the median of :attr:`values`."""
        return median(self.values) if self.value is None else self.value

    def __str__(self) -> str:
        """A row of the table whose head is :attr:`HEADER`."""
        lower = [f">= {self.at_least}"] if self.at_least is not None else []
        upper = [f"<= {self.at_most}"] if self.at_most is not None else []
        target = " ".join(lower + upper)
        met = ("yes" if self.is_met else "**no**") if target else ""
        values = self.values if len(self.values) > 1 else 2 * list(self.values)
        deciles = quantiles(values, n=10, method="inclusive")
        middle, low, high = (f"{value:.3g}" for value in (self.ratio, deciles[0], deciles[-1]))
        cells = (self.name, f"**{middle}**", f"{low} .. {high}", target or "-", met or "-", self.note)
        return f"| {' | '.join(cells)} |"


def quiet_ratios(
    numerator: Sequence[float], denominator: Sequence[float], period: int, num_draws: int = 200
) -> list[float]:
    """Ratios of :func:`quiet_cost` of periods drawn with replacement, to see the spread.

    Args:
        numerator: Cost of each block.
        denominator: Likewise, of the block in the same turn.
        period: See :func:`quiet_cost`.
        num_draws: Number of ratios.
    """
    draw = random.Random(0)
    num_periods = len(numerator) // period
    ratios = []
    for _ in range(num_draws):
        chosen = draw.choices(range(num_periods), k=num_periods)
        ratios.append(quiet_cost(numerator, period, chosen) / quiet_cost(denominator, period, chosen))
    return ratios


def quiet_cost(costs: Sequence[float], period: int, periods: Sequence[int] | None = None) -> float:
    """The mean cost of a block on an undisturbed machine, from blocks of which some were disturbed.

    Disturbance only adds time, so the fastest of similar blocks is closest to the true cost. Blocks are
    similar at the same position of a period; the mean over positions loses no periodic work.

    Args:
        costs: Cost of each block.
        period: Blocks after which work repeats, such as those of an epoch.
        periods: Numbers of the periods to look at; ``None`` is all.
    """
    periods = range(len(costs) // period) if periods is None else periods
    return mean(min(costs[number * period + position] for number in periods) for position in range(period))
