"""The table in the terminal while a study runs."""

import os
import shutil
import sys
from typing import TextIO

from .plan import Plan
from .results import Row, describe

ORDER = ("running", "complete", "pruned", "failed", "waiting")


def summary(plan: Plan, rows: list[Row]) -> str:
    """One line with the number of trials in each state."""
    counts = {state: sum(row.state == state for row in rows) for state in ORDER}
    parts = [f"{count} {state}" for state, count in counts.items() if count]
    return f"study {plan.name}: {len(rows)} trials, {', '.join(parts)}"


def line(plan: Plan, row: Row) -> str:
    """A trial on one line."""
    seconds = "" if row.duration_s is None else f"{row.duration_s:.0f} s"
    said = describe(row, list(plan.objectives))
    parts = (f"trial {row.number:>3}", f"{row.state:<8}", said, seconds, row.reason)
    return "  ".join(part for part in parts if part)


def lines(plan: Plan, rows: list[Row], limit: int | None = None) -> list[str]:
    """The table, at most ``limit`` lines: running trials, then complete ones, best first, then the others."""
    sign = -1 if next(iter(plan.objectives.values())) == "maximize" else 1

    def rank(row: Row) -> tuple[float, ...]:
        return ORDER.index(row.state), sign * row.values[0] if row.values else 0.0, row.number

    shown = sorted((row for row in rows if row.state != "waiting"), key=rank)
    return [summary(plan, rows), *(line(plan, row) for row in shown)][:limit]


class LiveTable:
    """Redraws the table in a terminal; without one, prints a line for each trial that ends."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream, self.num_drawn = stream or sys.stderr, 0
        self.seen: set[int] | None = None

    def show(self, plan: Plan, rows: list[Row]) -> None:
        """Show the newest state."""
        if self.stream.isatty():
            self._draw(plan, rows)
            return
        ended = {row.number for row in rows if row.state not in ("waiting", "running")}
        if self.seen is None:
            print(summary(plan, rows), file=self.stream, flush=True)
            self.seen = ended
        for row in rows:
            if row.number in ended - self.seen:
                print(line(plan, row), file=self.stream, flush=True)
        self.seen |= ended

    def _draw(self, plan: Plan, rows: list[Row]) -> None:
        size = shutil.get_terminal_size()
        table = [text[: size.columns - 1] for text in lines(plan, rows, limit=size.lines - 2)]
        up = f"\x1b[{self.num_drawn}A" if self.num_drawn else ""
        self.stream.write(up + "".join(f"\x1b[2K{text}{os.linesep}" for text in table) + "\x1b[J")
        self.stream.flush()
        self.num_drawn = len(table)
