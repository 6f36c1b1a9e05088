"""Variants as processes that take turns, so that a disturbance affects all of them alike."""

import contextlib
import multiprocessing
import os
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from .project import SMOKE

Variant = Callable[[], None]
GO, STOP = "go", "stop"
_parent: Connection | None = None  # in a variant's process
_last: tuple[float, float, int] | None = None


@dataclass(kw_only=True)
class Cost:
    """Seconds that a variant took per step (or per image) in one round.

    Attributes:
        wall_s: Seconds by the clock.
        cpu_s: CPU seconds of all threads.
    """

    wall_s: float
    cpu_s: float


def alternate(variants: dict[str, Variant], num_turns: int) -> dict[str, list[Cost]]:
    """Run a block of each variant in turn, and never two at a time.

    Each variant has its own process and calls :func:`lap` between its blocks. Its first block is not
    counted, and every other turn goes in the reverse order.

    Args:
        variants: Name to function; it must be importable, and may be a partial of one that is.
        num_turns: Blocks of each variant that count.

    Returns:
        Name to the cost in each turn.
    """
    context = _processes()
    pipes, processes = {}, []
    try:
        for name, variant in variants.items():
            pipes[name], theirs = context.Pipe()
            processes.append(context.Process(target=_run, args=(variant, theirs), daemon=True))
            processes[-1].start()
            theirs.close()
            _receive(name, pipes[name])  # it waits at its first block
        costs: dict[str, list[Cost]] = {name: [] for name in variants}
        for number in range(1 + num_turns):
            for name in list(variants)[:: -1 if number % 2 else 1]:
                pipes[name].send(GO)
                costs[name].append(_receive(name, pipes[name]))
    finally:
        for pipe in pipes.values():
            with contextlib.suppress(OSError):
                pipe.send(STOP)
        for process in processes:
            process.join(timeout=20)
            process.kill()
    return {name: values[1:] for name, values in costs.items()}


def lap(count: int) -> None:
    """End a block and wait for the next turn; for variants.

    Args:
        count: Steps (or images) since the variant began.
    """
    global _last
    assert _parent is not None
    wall, cpu = time.perf_counter(), time.process_time()
    cost = None
    if _last is not None:
        num = count - _last[2]
        cost = Cost(wall_s=(wall - _last[0]) / num, cpu_s=(cpu - _last[1]) / num)
    _parent.send(cost)
    if _parent.recv() == STOP:
        sys.exit()
    _last = time.perf_counter(), time.process_time(), count


class Lap(Callback):
    """Calls :func:`lap` every so many steps; work at an epoch's end falls between two calls.

    Args:
        every: Steps from one call to the next.
    """

    def __init__(self, every: int) -> None:
        self.every = every

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step % self.every == 0:
            lap(trainer.global_step)


class Terminal(StringIO):
    """Looks like a terminal, so that bars are drawn, and keeps the last text written."""

    def __init__(self) -> None:
        super().__init__()
        self.tail: deque[str] = deque(maxlen=20)

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.tail.append(text)
        return len(text)


def _processes() -> SpawnContext | ForkServerContext:
    """How variants start: each as a new process to be measured, else forked from one with all imports."""
    if not os.environ.get(SMOKE):
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytorch_lightning.cli", "torchmetrics", "torchvision"])
    return context


def _run(variant: Variant, parent: Connection) -> None:
    global _parent
    _parent = parent
    terminal = sys.stdout = sys.stderr = Terminal()
    try:
        variant()
        parent.send(f"ended before its time: {''.join(terminal.tail)}")
    except SystemExit as stop:
        if stop.code:
            parent.send(f"ended with status {stop.code}: {''.join(terminal.tail)}")
    except Exception:
        parent.send(traceback.format_exc())


def _receive(name: str, pipe: Connection) -> Any:
    try:
        answer = pipe.recv()
    except EOFError:
        answer = "its process died"
    if isinstance(answer, str):
        raise RuntimeError(f"{name}: {answer}")
    return answer
