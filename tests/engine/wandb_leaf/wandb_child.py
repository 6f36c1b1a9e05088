"""A run without a training, in a process of its own, for tests of what befalls it.

``python wandb_child.py FOLDER PAUSE_S`` logs 120 rows by two loggers, then images and tables. It stops once
in the middle, says so, and goes on with the next line of its input.
"""

import json
import logging
import os
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd  # noqa: F401 # wandb does with the first table, in half a second
import torch
from my_project.engine.loggers.run_folder import RunFolderLogger
from my_project.engine.wandb.logger import WandbRunLogger
from PIL import Image

NUM_ROWS = 120


class Child:
    """The run, and how long its parts took."""

    def __init__(self, folder: Path, pause_s: float) -> None:
        self.csv, self.wandb = RunFolderLogger(folder), WandbRunLogger(str(folder))
        self.model, self.pause_s, self.longest_s = torch.nn.Linear(2, 1), pause_s, 0.0
        self.was_imported = "wandb" in sys.modules

    def start(self) -> float:
        """Seconds until the run is open."""
        start = time.monotonic()
        self.wandb.log_hyperparams({"model": {"lr": 0.1}})
        self.wandb.watch(self.model, log_freq=30)
        return time.monotonic() - start

    def log_rows(self, steps: range) -> None:
        """Log rows; the calls of the loggers are timed."""
        for step in steps:
            start = time.monotonic()
            self.model(torch.ones(1, 2)).sum().backward()
            for logger in (self.csv, self.wandb):
                logger.log_metrics({"train/loss": 1 / (step + 1)}, step=step)
            self.wandb.log_hyperparams({"step": step})  # which wandb also writes to its log
            self.longest_s = max(self.longest_s, time.monotonic() - start)
            time.sleep(self.pause_s)

    def log_media(self) -> None:
        """Log images, a table and a summary."""
        start = time.monotonic()
        images = [Image.fromarray(np.full((8, 8, 3), 40 * number, np.uint8)) for number in range(3)]
        self.wandb.log_image("val/worst", images=images, caption=["a", "b", "c"], step=NUM_ROWS)
        for number in range(2):
            self.wandb.log_table(f"val/table{number}", columns=["x"], data=[[1], [2]], step=NUM_ROWS)
        self.wandb.log_summary({"best": 0.5})
        self.longest_s = max(self.longest_s, time.monotonic() - start)

    def finish(self) -> float:
        """Seconds until the run is closed."""
        start = time.monotonic()
        self.wandb.finish()
        return time.monotonic() - start


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    before = set(os.environ)
    child = Child(Path(sys.argv[1]), float(sys.argv[2]))
    ready_s = child.start()
    child.log_rows(range(NUM_ROWS // 2))
    print("half", flush=True)
    sys.stdin.readline()
    child.log_rows(range(NUM_ROWS // 2, NUM_ROWS))
    child.log_media()
    report = {"ready_s": ready_s, "finish_s": child.finish(), "longest_s": child.longest_s}
    print(json.dumps(report | {"was_imported": child.was_imported, "left": sorted(set(os.environ) - before)}))
