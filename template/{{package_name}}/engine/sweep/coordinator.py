"""Makes the study, starts workers, and shows their progress, in the process of the command."""

import contextlib
import logging
import os
import time
from collections.abc import Sequence
from datetime import datetime
from multiprocessing.process import BaseProcess

import torch

from ..errors import InputError
from .database import is_there
from .dead import MAX_KILLS, count_kill, retry_dead
from .page import write_page
from .plan import Plan
from .prepare import check_by_training
from .results import describe_best, read_rows, write_best, write_table
from .study import UNFINISHED, Study, process_name
from .table import LiveTable
from .worker import MAX_FAILURES, OUTPUT, failed_in_a_row, start, stop

POLL_S, SHOW_S = 0.2, 1.0
log = logging.getLogger(__name__)


def run_study(plan: Plan, num_workers: int) -> int:
    """Run or continue a study until all its trials have ended.

    Returns:
        Exit status.

    Raises:
        InputError: The study cannot be made, no trial is complete, or too many fail in a row.
    """
    if not is_there(plan):
        check_by_training(plan)
    with contextlib.closing(Study(plan, create=True)) as study:
        study.enqueue()
        plan.save()
        retry_dead(study)
        return _run(study, num_workers)


def _run(study: Study, num_workers: int) -> int:
    began = datetime.now()
    try:
        _supervise(study, num_workers, began)
    except KeyboardInterrupt:
        log.warning("interrupted; the same command continues it")
        raise
    finally:
        rows = read_rows(study)
        write_table(study, rows)
        best = write_best(study)
    log.info("\n".join([*describe_best(study, best), f"page: {write_page(study, rows, best)}"]))
    if (error := failed_in_a_row(study, began)) is not None:
        raise InputError(
            f"expected trials that can be trained, got {MAX_FAILURES} failures in a row; the last: {error}"
        )
    if not best:
        raise InputError(f"expected a complete trial, got none; the last: {rows[-1].reason}")
    return 0


def _supervise(study: Study, num_workers: int, began: datetime) -> None:
    """Keep workers running, and restart those that died, as long as there is work."""
    gpus = deal_gpus(num_workers, study.plan.num_devices, study.plan.devices)
    workers = {number: start(study.plan, began, gpus[number]) for number in range(num_workers)}
    table, show_at, num_deaths, num_left = LiveTable(), 0.0, 0, len(study.trials(*UNFINISHED))
    try:
        while workers:
            for number, worker in list(workers.items()):
                if worker.exitcode is not None:
                    del workers[number]
                if worker.exitcode:
                    _clean_up(study, worker)
                    left = len(study.trials(*UNFINISHED))
                    num_deaths, num_left = (num_deaths + 1 if left == num_left else 1), left
                    if left and num_deaths < MAX_KILLS * num_workers + MAX_FAILURES:
                        workers[number] = start(study.plan, began, gpus[number])
            if (now := time.monotonic()) > show_at:
                table.show(study.plan, read_rows(study))
                show_at = now + max(SHOW_S, 20 * (time.monotonic() - now))  # reading many rows takes a while
            time.sleep(POLL_S)
    finally:
        for worker in workers.values():
            stop(worker)
    table.show(study.plan, read_rows(study))
    if study.trials(*UNFINISHED) and failed_in_a_row(study, began) is None:
        raise InputError(f"expected live workers, got none; see {study.plan.root / OUTPUT}")


def deal_gpus(num_workers: int, num_devices: int, chosen: Sequence[int] = ()) -> list[str | None]:
    """The value of ``CUDA_VISIBLE_DEVICES`` for each worker; ``None`` if there is no GPU.

    Args:
        num_workers: Number of workers.
        num_devices: Number of GPUs that a trial uses.
        chosen: GPUs to use, by their positions among the visible ones; empty for any.

    Raises:
        InputError: There are fewer GPUs than a trial uses, or a chosen one does not exist.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    num_gpus = torch.cuda.device_count()
    if num_gpus == 0:
        return [None] * num_workers
    names = [name.strip() for name in visible.split(",")] if visible else list(map(str, range(num_gpus)))
    if not names[0].startswith("MIG-"):  # a process sees only one of these, however many are named
        names = names[:num_gpus]
    if absent := [place for place in chosen if place >= len(names)]:
        raise InputError(f"trainer.devices: expected some of the {len(names)} visible GPUs, got {absent[0]}")
    names = [names[place] for place in chosen] or names
    if len(names) < num_devices:
        raise InputError(f"expected at least the {num_devices} GPUs of a trial, got {len(names)}")
    hands = [",".join(names[first:][:num_devices]) for first in range(0, len(names), num_devices)]
    hands = hands[: len(names) // num_devices]
    return [hands[number % len(hands)] for number in range(num_workers)]


def _clean_up(study: Study, worker: BaseProcess) -> None:
    """Let the trial of a worker that died be tried again, unless it has killed ``MAX_KILLS`` workers."""
    code = worker.exitcode or 0
    how = f"its process was killed by signal {-code}" if code < 0 else f"its process ended with status {code}"
    stop(worker)  # ends what it had started
    count_kill(study, process_name(worker.pid or 0), how)
    retry_dead(study)
