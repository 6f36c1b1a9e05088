"""Commands that take the options of ``fit`` and train no run."""

from collections.abc import Sequence

from .lightning import CLI
from .memory import keep_memory
from .run_options import ALLOW, take_all


def try_out(cls: type[CLI], args: Sequence[str], trainer: Sequence[str]) -> int:
    """Run one.

    Args:
        cls: What it does.
        args: Its name, and the user's options.
        trainer: Options of the Trainer, in place of the user's.

    Raises:
        InputError: See ``fit``.
    """
    keep_memory()
    command, *options = args
    allow = take_all(options, ALLOW)
    cls(["fit", f"--name={command}", *options, *(f"--trainer.{one}" for one in trainer)], allow=allow)
    return 0
