"""``python -m <package>``: without arguments the demo, else a command; see ``--help``."""

import sys

from .engine.cli.start import Command
from .engine.cli.start import main as start

# Commands of the project: the module below this package that has ``run(args)``, and what ``--help`` says of
# it.
COMMANDS = {
    "demo": Command("demo", (("train the demo:", "demo"),), trains=True),
    # Your own commands go below this line.
}


def main(args: list[str] | None = None) -> int:
    """Run a command line; ``None`` is that of the process.

    Returns:
        Exit status: 0, 2 after an error in the input, 130 after an interrupt.
    """
    return start(args, COMMANDS)


if __name__ == "__main__":
    sys.exit(main())
