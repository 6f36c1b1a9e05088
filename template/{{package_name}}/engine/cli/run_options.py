"""Options besides the config: ``--resume``, ``--init_from``, ``--run`` name a run, ``--allow`` a package."""

from pathlib import Path
from typing import Any

from ..errors import InputError
from ..runs.folder import CONFIG, find_checkpoint, find_run

ALLOW, INIT_FROM, INIT_MODULES = "--allow", "--init_from", "--init_modules"
RUN_OPTIONS = {"fit": ("--resume", INIT_FROM), "validate": ("--run",), "test": ("--run",)}


def expand_run_options(args: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Take out ``--allow``, and replace the options that name a run by its config and its checkpoint.

    Args:
        args: Command line, beginning with a subcommand.

    Returns:
        The command line that ``CLI`` parses, and its keyword arguments.

    Raises:
        InputError: There is no such run or checkpoint, or the options exclude each other.
    """
    subcommand, rest = args[0], list(args[1:])
    allow = take_all(rest, ALLOW)
    options: dict[str, Any] = {"allow": allow} if allow else {}
    given = {name: value for name in RUN_OPTIONS[subcommand] if (value := take(rest, name)) is not None}
    if subcommand == "fit" and (modules := take(rest, INIT_MODULES)) is not None:
        if INIT_FROM not in given:
            raise InputError(
                f"expected {INIT_FROM} RUN beside {INIT_MODULES}, got none; say whose parts they are"
            )
        options["init_modules"] = modules.split(",")
    if len(given) > 1:
        raise InputError(f"expected one of {' and '.join(given)}, got both; choose one")
    if not given:
        return [subcommand, *rest], options
    option, which = next(iter(given.items()))
    run = find_run(which, Path(take(list(rest), "--trainer.default_root_dir") or "runs"))
    prefer = "last" if option == "--resume" else "best"
    checkpoint = Path(which) if Path(which).is_file() else find_checkpoint(run, prefer)
    from_its_config = [subcommand, "--config", str(run / CONFIG), *rest]
    if option == INIT_FROM:
        has_config = take(list(rest), "--config") or take(list(rest), "-c")
        return [subcommand, *rest] if has_config else from_its_config, options | {"init_from": checkpoint}
    return from_its_config, options | {"run_folder": run, "ckpt_path": checkpoint}


def take_all(args: list[str], option: str) -> list[str]:
    """Remove all of ``option VALUE`` and ``option=VALUE`` from ``args`` and return the values."""
    values = []
    while (value := take(args, option)) is not None:
        values.append(value)
    return values


def take(args: list[str], option: str) -> str | None:
    """Remove the first ``option VALUE`` or ``option=VALUE`` from ``args``; its value, or ``None``."""
    for number, arg in enumerate(args):
        if arg.startswith(f"{option}="):
            return args.pop(number).partition("=")[2]
        if arg == option:
            if number + 1 == len(args):
                raise InputError(f"expected a value after {option}, got none")
            args.pop(number)
            return args.pop(number)
    return None
