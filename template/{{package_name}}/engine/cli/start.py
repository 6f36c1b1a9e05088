"""Where each command line begins: the table of commands, each imported when it is called.

Only the standard library is imported here, so that ``--version`` and ``--help`` answer at once.
"""

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from .. import PACKAGE, PROJECT
from ..config.leaves import example_config
from ..resume import signals

AGAIN = "DL_STARTED_AGAIN"  # set once the interpreter of .venv was started


class Command(NamedTuple):
    """A command.

    Attributes:
        module: Below the package; its ``run(args)`` gets the command's name and what follows, and returns the
            exit status. The command exists as long as its file does.
        usage: Lines of the help text: a purpose and an example each.
        trains: Whether it trains, so that signals ask it to stop instead of ending it.
    """

    module: str
    usage: tuple[tuple[str, str], ...]
    trains: bool = False


COMMANDS = {
    "fit": Command(
        "engine.stages.command",
        (("train:", "fit --config configs/{config}"), ("resume a run:", "fit --resume latest")),
        trains=True,
    ),
    "validate": Command("engine.cli.lightning", (("validation sets:", "validate --run latest"),)),
    "test": Command("engine.cli.lightning", (("test set:", "test --run latest"),)),
    "predict": Command("engine.cli.predict", (("images to CSV:", "predict latest FOLDER"),)),
    "lr_find": Command(
        "engine.tuning", (("learning rate:", "lr_find --config configs/{config}"),), trains=True
    ),
    "batch_size_find": Command(
        "engine.tuning", (("largest that fits:", "batch_size_find --config configs/{config}"),), trains=True
    ),
    "probe": Command(
        "engine.pretrained.probe", (("frozen features:", "probe --config configs/finetune.yaml"),)
    ),
    "show_batch": Command(
        "engine.show_batch", (("sheet of a batch:", "show_batch --config configs/{config}"),)
    ),
    "report": Command(
        "engine.report.command", (("a run's page:", "report latest"), ("compare runs:", "report RUN RUN"))
    ),
    "sweep": Command("engine.sweep", (("search:", "sweep --config configs/sweep.yaml --workers 2"),)),
    "completion": Command("engine.cli.completion", (("shell completion:", "completion bash"),)),
}


def main(args: list[str] | None = None, own: Mapping[str, Command] | None = None) -> int:
    """Run a command line; without a command, ``demo`` if there is one.

    Args:
        args: The arguments; ``None`` for those of the process.
        own: Commands of the project.

    Returns:
        Exit status: 0, 2 after an error in the input, 130 after an interrupt.
    """
    args = sys.argv[1:] if args is None else args
    commands = available({**COMMANDS, **(own or {})})
    if args[:1] == ["--version"]:
        print(f"{PACKAGE} {import_module(PACKAGE).__version__}")
        return 0
    args = args or (["demo"] if "demo" in commands else ["--help"])
    if args[0] in ("-h", "--help"):
        print(describe(commands), end="")
        return 0
    command = commands.get(args[0])
    if command and command.trains:
        signals.listen()
    try:
        if find_spec("pytorch_lightning") is None:
            return _use_environment()
        from .run import run

        return run(args, commands)
    finally:
        signals.stop_listening()


def available(commands: Mapping[str, Command]) -> dict[str, Command]:
    """The commands whose files exist: one that was deleted is offered nowhere."""
    package = Path(__file__).parents[2]

    def exists(command: Command) -> bool:
        path = package.joinpath(*command.module.split("."))
        return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()

    return {name: command for name, command in commands.items() if exists(command)}


def describe(commands: Mapping[str, Command]) -> str:
    """What ``--help`` prints."""
    config = example_config()
    width = max(len(name) for name in commands) + 2
    lines = []
    for name, command in commands.items():
        for number, (purpose, example) in enumerate(command.usage):
            shown = name if number == 0 else ""
            lines.append(f"  {shown:{width}}{purpose:18} {example.format(config=config)}".rstrip())
    default = "Without a command, it trains the demo.\n\n" if "demo" in commands else ""
    return (
        f"usage: python -m {PACKAGE} [COMMAND] [OPTIONS]\n\n{default}commands:\n"
        + "\n".join(lines)
        + "\n\noptions:\n  --version   print the version\n"
        "  -h, --help  print this; COMMAND --help prints a command's options\n\n"
        "RUN is latest, a run's name in the runs folder, or a path.\n"
    )


def _use_environment() -> int:
    """Start again with the interpreter that ``make init`` made, since this one lacks the packages."""
    python = PROJECT / ".venv" / "bin" / "python"
    if not python.exists() or os.environ.get(AGAIN):
        print("error: pytorch-lightning is not installed; run `make init` first", file=sys.stderr)
        return 2
    print(f"using {python.parents[1]} (to choose it yourself: source .venv/bin/activate)", file=sys.stderr)
    os.environ[AGAIN] = "1"
    signals.block()
    os.execv(python, [str(python), "-m", PACKAGE, *sys.argv[1:]])
