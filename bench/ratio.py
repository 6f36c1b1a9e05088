"""What a benchmark reports: a ratio of two variants, measured round by round."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median, quantiles
from typing import ClassVar


@dataclass(kw_only=True)
class Ratio:
    """The median of a ratio's rounds with its spread, and whether it meets its target.

    Attributes:
        name: What is compared.
        values: The ratio of each round.
        at_least: Target from below, or ``None``.
        at_most: Target from above, or ``None``.
        note: Absolute values, for orientation only.
    """

    HEADER: ClassVar[str] = (
        "| ratio | median | 10 % .. 90 % | target | met | absolute |\n|---|---|---|---|---|---|"
    )

    name: str
    values: Sequence[float]
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the median is on the right side of each target."""
        middle = median(self.values)
        above = self.at_least is None or middle >= self.at_least
        return above and (self.at_most is None or middle <= self.at_most)

    def __str__(self) -> str:
        """A row of the table whose head is :attr:`HEADER`."""
        lower = [f">= {self.at_least}"] if self.at_least is not None else []
        upper = [f"<= {self.at_most}"] if self.at_most is not None else []
        target = " ".join(lower + upper)
        met = ("yes" if self.is_met else "**no**") if target else ""
        low, middle, high = (f"{value:.3g}" for value in _summary(self.values))
        cells = (self.name, f"**{middle}**", f"{low} .. {high}", target or "-", met or "-", self.note)
        return f"| {' | '.join(cells)} |"


def quiet_ratios(
    numerator: Sequence[float], denominator: Sequence[float], period: int, num_draws: int = 200
) -> list[float]:
    """Ratios of costs on an undisturbed machine, from blocks that were disturbed at times.

    Disturbance only adds time, so that the lower quartile of like blocks is near their cost alone. Blocks
    are alike at the same position of a period: this way no periodic work is lost. The period's cost is
    the mean over its positions. Whole periods are drawn with replacement to see the spread.

    Args:
        numerator: Cost of each block.
        denominator: Likewise, of the block in the same turn.
        period: Blocks after which work repeats, such as those of an epoch.
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
    """The undisturbed cost of a block, as in :func:`quiet_ratios`, of all or of some periods."""
    periods = range(len(costs) // period) if periods is None else periods
    return mean(
        quantiles([costs[number * period + position] for number in periods], n=4, method="inclusive")[0]
        for position in range(period)
    )


def _summary(values: Sequence[float]) -> tuple[float, float, float]:
    deciles = quantiles(values, n=10, method="inclusive")
    return deciles[0], median(values), deciles[-1]
