"""Commands that take the options of ``fit`` and train no run."""

from collections.abc import Sequence

from .lightning import CLI
from .memory import keep_memory
from .run_options import ALLOW, take_all


def try_out(cls: type[CLI], args: Sequence[str], trainer: Sequence[str]) -> int:
    """Run such a command.

    Args:
        cls: Does the work.
        args: The command's name, and the user's options.
        trainer: Options of the Trainer that replace the user's.

    Raises:
        InputError: As for ``fit``.
    """
    keep_memory()
    command, *options = args
    allow = take_all(options, ALLOW)
    cls(["fit", f"--name={command}", *options, *(f"--trainer.{one}" for one in trainer)], allow=allow)
    return 0
