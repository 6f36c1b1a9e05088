"""``fit`` in processes that are forked from one that has imported everything, which tests kill."""

import multiprocessing
import os
import sys
from pathlib import Path


def call(folder: str, fault: str, args: list[str]) -> None:
    """What a process of its own does: the command, with its output in a file."""
    os.chdir(folder)
    sys.path.insert(0, folder)
    os.environ["FAULT"] = fault
    with Path("said.txt").open("a", buffering=1) as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        from my_project.__main__ import main

        try:
            code = main(args)
        except SystemExit as stop:
            code = int(stop.code or 0)
        except BaseException:
            import traceback

            traceback.print_exc()
            code = 1
        os._exit(code)


def fit(folder: Path, *args: str, fault: str = "") -> int:
    """``fit`` in a process of its own, with ``FAULT`` in its environment; its status."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["my_project.engine.cli.lightning", "torchvision"])
    process = context.Process(target=call, args=(str(folder), fault, ["fit", *args]))
    process.start()
    process.join(timeout=200)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode


def said(folder: Path) -> str:
    return (folder / "said.txt").read_text()
