"""One self-contained page per run, or about several: curves, pictures, results, config."""

from .page import write_report

__all__ = ["write_report"]
