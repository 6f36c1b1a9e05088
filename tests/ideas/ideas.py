"""Four ideas that no task of the template covers, as a user would add them, and what each must reach.

``python tests/ideas/ideas.py build/ideas.md``, by the Python of a rendered project, trains them all and
writes a table of what they took.
"""

import contextlib
import csv
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from make_data import make_data
from my_project.model import load_model
from my_project.structs import ImageExample

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Idea:
    """An idea.

    Attributes:
        name: Name of its folder.
        module: Name of its Python file and its config.
        key: Key of its logged test metric; empty if no number says how good it is.
        least: The least value that it must reach.
        steps: Steps of an epoch.
        caption: Pattern of the captions of pictures of the test set.
        predicts: The error of ``predict`` if it cannot predict files; empty if it can.
    """

    name: str
    module: str
    key: str
    least: float
    steps: int
    caption: str
    predicts: str

    @property
    def files(self) -> list[Path]:
        """What the user adds to a fresh project."""
        return [HERE / self.name / f"{self.module}.{suffix}" for suffix in ("py", "yaml")]

    @property
    def plain(self) -> Path:
        """The same idea in plain Lightning."""
        return HERE / self.name / "plain.py"


NO_FILES = "{} reads no files; to predict, define its classmethod read"
NO_COLUMNS = "{} has no columns to write; to predict, define its method columns"
IDEAS = [
    Idea(
        name="forecast",
        module="forecast",
        key="test/r2",
        least=0.9,
        steps=13,
        caption=r"true -?\d.*\npredicted -?\d.*\n#\d+  error \d",
        predicts=NO_FILES.format("Series"),
    ),
    Idea(
        name="tagging",
        module="tagging",
        key="test/accuracy",
        least=0.95,
        steps=9,
        caption=r"\d+\.\d% correct\n#\d+  error \d",
        predicts=NO_FILES.format("Words"),
    ),
    Idea(
        name="autoencoder",
        module="autoencoder",
        key="test/psnr",
        least=15,
        steps=21,
        caption=r"#\d+  loss \d",
        predicts=NO_COLUMNS.format("Reconstruction"),
    ),
    Idea(
        name="gan",
        module="gan",
        key="",
        least=0,
        steps=21,
        caption=r"#\d+  error \d",
        predicts=NO_COLUMNS.format("Fakes"),
    ),
]


def digits_file() -> Path:
    """The file of the project's digits."""
    spec = importlib.util.find_spec("my_project")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("data") / "digits.npz"


def mean_pixel() -> float:
    """The mean pixel of the digits, in ``[0, 1]``."""
    with np.load(digits_file()) as file:
        return float(file["images"].mean()) / 16


def draw_samples(checkpoint: Path) -> torch.Tensor:
    """``(500, 1, 8, 8)`` float: images that a GAN generates."""
    model = load_model(checkpoint)
    torch.manual_seed(0)
    with torch.no_grad():
        return model(ImageExample(image=torch.zeros(500, 1, 8, 8))).fake


def begin(idea: Idea, folder: Path) -> None:
    """Put the files of an idea and all data into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (*idea.files, idea.plain):
        shutil.copy(path, folder)
    if not (folder / "data").exists():
        (folder / "data").mkdir()
        make_data(folder / "data", digits_file())


def num_lines(*paths: Path) -> int:
    """Lines of files, empty ones and comments included."""
    return sum(len(path.read_text().splitlines()) for path in paths)


def fit_command(idea: Idea, name: str, *options: str) -> list[str]:
    """The command line that trains an idea, with the same result to the bit each time."""
    config = f"--config={idea.module}.yaml"
    exact = "--seed_everything=0", "--num_threads=1", "--checkpoint.every_n_train_steps=5"
    return [sys.executable, "-m", "my_project", "fit", config, f"--name={name}", *exact, *options]


def environment() -> dict[str, str]:
    """The environment of a training: one thread, and the project is found from any folder."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(digits_file().parents[2])}


def read_rows(run: Path) -> list[dict[str, str]]:
    """The rows of ``metrics.csv``, without empty cells."""
    with (run / "metrics.csv").open() as file:
        return [{key: cell for key, cell in row.items() if cell} for row in csv.DictReader(file)]


def _measure(idea: Idea, folder: Path) -> str:
    """A row of the table."""
    begin(idea, folder)
    start = time.perf_counter()
    process = subprocess.Popen(
        fit_command(idea, "measured"), cwd=folder, env=environment(), text=True, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    first = 0.0
    for line in process.stderr:
        first = first or (time.perf_counter() - start if re.match("epoch 1/", line) else 0.0)
    assert process.wait() == 0, f"{idea.name} does not train"
    (run,) = (folder / "runs").glob("*-measured")
    if idea.key:
        figure = f"{idea.key} {float(read_rows(run)[-1][idea.key]):.3f}"
    else:
        sys.path.insert(0, str(folder))
        with contextlib.chdir(folder):
            mean = float(draw_samples(run / "checkpoints/best.ckpt").mean())
        figure = f"mean pixel {mean:.3f}, of the digits {mean_pixel():.3f}"
    lines, plain = num_lines(*idea.files), num_lines(idea.plain)
    return f"| {idea.name} | {lines} | {len(idea.files)} | {plain} | {figure} | {first:.1f} s |"


def main() -> None:
    """Write the table to the file that is named."""
    work = Path(sys.argv[1]).resolve().parent / "ideas"
    shutil.rmtree(work, ignore_errors=True)
    rows = [_measure(idea, work / idea.name) for idea in IDEAS]
    head = "| idea | lines | files | lines of plain Lightning | reached | to the end of epoch 1 |"
    Path(sys.argv[1]).write_text("\n".join([head, "|---|--:|--:|--:|---|--:|", *rows, ""]))


if __name__ == "__main__":
    main()
