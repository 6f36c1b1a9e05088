"""``python -m <package>``: without arguments the demo, else a command; see ``--help``.

Nothing heavy is imported before it is needed: ``--version`` and ``--help`` answer at once.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from . import __version__, preemption

NAME = str(__package__)
AGAIN = "DL_STARTED_AGAIN"  # set where this is the interpreter of .venv already
HELP = f"""\
usage: python -m {NAME} [COMMAND] [OPTIONS]

Without a command: the demo. It trains on CIFAR-10, or on handwritten digits where that is not at hand.

commands:
  fit         train:             fit --config configs/digits.yaml
              go on with a run:  fit --resume latest
  validate    validation sets:   validate --run latest
  test        test set:          test --run latest
  predict     images to CSV:     predict latest FOLDER
  report      a page of a run:   report latest
              runs compared:     report RUN RUN
  sweep       search:            sweep --config configs/sweep.yaml --workers 2
  completion  for your shell:    completion bash

options:
  --version   print the version
  -h, --help  print this; COMMAND --help prints the options of a command

A run is called latest, or by its name in the runs folder, or by its path.
"""


def main(args: list[str] | None = None) -> int:
    """Run a command line.

    Args:
        args: The arguments; ``None`` for those of the process.

    Returns:
        Exit status: 0, 2 after an error in the input, 130 after an interrupt.
    """
    args = sys.argv[1:] if args is None else args
    if args[:1] == ["--version"]:
        print(f"{NAME} {__version__}")
        return 0
    if args[:1] in (["-h"], ["--help"]):
        print(HELP, end="")
        return 0
    if args[:1] in ([], ["fit"]):
        preemption.listen()
    if find_spec("pytorch_lightning") is None:
        return _use_environment(args)
    try:
        from .commands import run

        return run(args)
    finally:
        preemption.stop_listening()


def _use_environment(args: list[str]) -> int:
    """Start again with the interpreter that ``make init`` made, where this one lacks the packages."""
    python = Path(__file__).parents[1] / ".venv" / "bin" / "python"
    if not python.exists() or os.environ.get(AGAIN):
        print("error: pytorch-lightning is not installed; run `make init` first", file=sys.stderr)
        return 2
    print(f"using {python.parents[1]} (to choose it yourself: source .venv/bin/activate)", file=sys.stderr)
    os.environ[AGAIN] = "1"
    preemption.hold()
    os.execv(python, [str(python), "-m", NAME, *args])


if __name__ == "__main__":
    sys.exit(main())
