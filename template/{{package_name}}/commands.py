"""The commands."""

import ctypes
import re
import sys

from lightning_fabric.utilities.exceptions import MisconfigurationException

from .cli import CLI, SUBCOMMANDS, option_names
from .console import fail, plain_output
from .demo import demo
from .errors import InputError, input_error_in
from .predict import predict
from .report.command import report
from .resources import shortage
from .run_options import ALLOW, RUN_OPTIONS, expand_run_options
from .sweep import sweep

COMPLETION = """\
_NAME() {
  local cur=${COMP_WORDS[COMP_CWORD]} words='COMMANDS'
  if [ "$COMP_CWORD" -gt 1 ]; then case "${COMP_WORDS[1]}" in
CASES  esac; fi
  COMPREPLY=($(compgen -W "$words" -- "$cur") $(compgen -f -- "$cur"))
}
complete -F _NAME PROGRAM"""


def run(args: list[str]) -> int:
    """Run a command, or the demo if there is none.

    Args:
        args: Command line, without the name of the program.

    Returns:
        Exit status; what was wrong with the input stands on one line of standard error.
    """
    _keep_memory()
    try:
        with plain_output():
            return _dispatch(args)
    except KeyboardInterrupt:
        return 130
    except MisconfigurationException as error:
        monitor = re.search(r"monitor='(.+?)'\).*returned metrics: \[(.+?)\]", str(error))
        if monitor is None:
            return fail(str(error))
        known = ", ".join(name for name in monitor[2].replace("'", "").split(", ") if "val/" in name)
        return fail(
            f"expected checkpoint.monitor to be a logged number, got {monitor[1]!r}; there are {known}"
        )
    except ValueError as error:
        if (cause := input_error_in(error)) is None:
            raise
        return fail(str(cause))
    except (OSError, RuntimeError, MemoryError) as error:
        if (sentence := shortage(error)) is None:
            raise
        return fail(sentence)


def _dispatch(args: list[str]) -> int:
    command, rest = (args[0], args[1:]) if args else ("", [])
    if not command:
        demo()
    elif command in SUBCOMMANDS:
        arguments, options = expand_run_options(args)
        CLI(arguments, **options)
    elif command == "predict":
        predict(rest)
    elif command == "sweep":
        return sweep(rest)
    elif command == "report":
        return report(rest)
    elif command == "completion":
        _completion(rest)
    elif command.startswith("-"):
        raise InputError(f"expected a command before {command}, such as fit; see --help")
    else:
        known = ", ".join((*SUBCOMMANDS, "predict", "report", "sweep", "completion"))
        raise InputError(f"expected one of {known}, got {command!r}; see --help")
    return 0


def _completion(args: list[str]) -> None:
    """Print a script that completes commands, options and file names without starting Python."""
    if args not in (["bash"], ["zsh"]):
        raise InputError("expected completion bash or completion zsh; save its output for your shell")
    options = {name: [*names, *RUN_OPTIONS[name], ALLOW] for name, names in option_names().items()}
    options |= {"predict": ["--output", "--batch_size", "--on_error", "--device", "--runs", ALLOW]}
    options |= {"sweep": ["--config", "--workers", "--name", "--dry_run", *options["fit"]]}
    options |= {"report": ["--output", "--no_open", "--runs"]}
    cases = "".join(f"    {name}) words='{' '.join(names)}' ;;\n" for name, names in options.items())
    script = COMPLETION.replace("CASES", cases).replace("COMMANDS", " ".join(options))
    if args == ["zsh"]:
        print("autoload -U +X bashcompinit && bashcompinit")
    print(script.replace("NAME", str(__package__)).replace("PROGRAM", str(__package__).replace("_", "-")))


def _keep_memory() -> None:
    """Let glibc keep freed blocks, else a CPU pages activations in anew at each step (6 to 20 %)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD
