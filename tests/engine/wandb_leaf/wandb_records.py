"""What wandb keeps of a run on disk, as its own reader gives it."""

import json
import subprocess
from pathlib import Path
from typing import Any

from wandb.util import get_core_path


def parts_of(run: Path) -> list[Path]:
    """A folder for each start of the run, in order of time."""
    return sorted((run / "wandb").glob("*run-2*"), key=lambda part: part.name.partition("run-")[2])


def rows_in(part: Path) -> list[dict[str, Any]]:
    """Rows of the history, nested keys with dots."""
    (file,) = part.glob("*.wandb")
    # `wandb leet inspect` without 3 s of imports
    command = [get_core_path(), "leet", "inspect", "--no-observability", "--json", "--run-file", str(file)]
    done = subprocess.run([*command, str(part)], capture_output=True, text=True, check=True, timeout=30)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    return [record["history"]["item"] for record in records if record["type"] == "history"]
