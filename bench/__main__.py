"""``python -m bench [POINT ...]``: measure the generated project against its references.

Needs an interpreter that has the generated project's dependencies; ``make bench`` provides one.
"""

import argparse
import importlib
import os
import sys
import time

from .project import SMOKE, describe_machine, make_project
from .ratio import Ratio

POINTS = ("training", "overhead", "data", "usual", "graph", "startup", "instruments", "sweep", "photos")


def main() -> int:
    """Measure the points that were asked for; 1 if a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("points", nargs="*", metavar="POINT", help=f"of {', '.join(POINTS)}; default: all")
    parser.add_argument("--smoke", action="store_true", help="tiny numbers, only to see that all points run")
    args = parser.parse_args()
    chosen = args.points or POINTS
    if args.smoke:
        os.environ[SMOKE] = "1"  # before a point is imported
    if unknown := set(chosen) - set(POINTS):
        parser.error(f"expected points of {', '.join(POINTS)}, got {', '.join(sorted(unknown))}")
    make_project()
    print(f"{describe_machine()}\n")
    print(Ratio.HEADER, flush=True)
    began, ratios = time.perf_counter(), []
    for name in chosen:
        for ratio in importlib.import_module(f"bench.{name}").measure():
            print(ratio, flush=True)
            ratios.append(ratio)
    missed = [ratio.name for ratio in ratios if not ratio.is_met]
    print(f"\n{time.perf_counter() - began:.0f} s; missed: {', '.join(missed) or 'none'}")
    return bool(missed) and not args.smoke


if __name__ == "__main__":
    sys.exit(main())
