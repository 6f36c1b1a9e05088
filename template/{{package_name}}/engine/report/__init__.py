"""One self-contained page about one run or several: curves, pictures, results, config."""

from .page import write_report

__all__ = ["write_report"]
