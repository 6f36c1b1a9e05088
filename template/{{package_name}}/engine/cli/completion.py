"""Completion of commands, options and file names by the shell, without starting Python."""

from .. import PACKAGE
from ..errors import InputError
from .lightning import option_names
from .run_options import ALLOW, INIT_MODULES, RUN_OPTIONS
from .start import COMMANDS, available

SCRIPT = """\
_NAME() {
  local cur=${COMP_WORDS[COMP_CWORD]} words='COMMANDS'
  if [ "$COMP_CWORD" -gt 1 ]; then case "${COMP_WORDS[1]}" in
CASES  esac; fi
  COMPREPLY=($(compgen -W "$words" -- "$cur") $(compgen -f -- "$cur"))
}
complete -F _NAME PROGRAM"""
# Commands that take the options of fit, except those that name a run.
TRIES = ("lr_find", "batch_size_find", "show_batch")
# Options of the commands that do not use Lightning's parser.
OPTIONS = {
    "predict": ["--output", "--batch_size", "--on_error", "--device", "--runs", ALLOW],
    "sweep": ["--config", "--workers", "--name", "--dry_run"],
    "report": ["--output", "--no_open", "--runs"],
}


def run(args: list[str]) -> int:
    """Print the completion script of a shell.

    Raises:
        InputError: The shell is neither bash nor zsh.
    """
    if args[1:] not in (["bash"], ["zsh"]):
        raise InputError("expected completion bash or completion zsh; save its output for your shell")
    options = {name: [*names, *RUN_OPTIONS[name], ALLOW] for name, names in option_names().items()}
    options |= {name: OPTIONS[name] for name in available(COMMANDS) if name in OPTIONS}
    tried = [option for option in options["fit"] if option not in RUN_OPTIONS["fit"]]
    options |= {name: tried for name in available(COMMANDS) if name in TRIES}
    if "sweep" in options:
        options["sweep"] = [*options["sweep"], *options["fit"]]
    options["fit"] = [*options["fit"], INIT_MODULES]
    cases = "".join(f"    {name}) words='{' '.join(names)}' ;;\n" for name, names in options.items())
    script = SCRIPT.replace("CASES", cases).replace("COMMANDS", " ".join(options))
    if args[1:] == ["zsh"]:
        print("autoload -U +X bashcompinit && bashcompinit")
    print(script.replace("NAME", PACKAGE).replace("PROGRAM", PACKAGE.replace("_", "-")))
    return 0
