"""Loads a run in Python, such as in a notebook: its model, its data and its metrics."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pytorch_lightning import LightningDataModule, LightningModule

from .runs.folder import CONFIG, METRICS, find_checkpoint, find_run

if TYPE_CHECKING:  # it takes half a second to import
    from pandas import DataFrame


@dataclass(frozen=True, kw_only=True)
class LoadedRun:
    """A run that was loaded.

    Attributes:
        folder: Folder of the run.
        checkpoint: Path of the checkpoint whose weights the model has.
        config: The resolved config, as in ``config.yaml``.
        model: On the CPU, in evaluation mode, with the config's metrics; call ``train()`` to train it on.
        data: The run's datamodule; a Trainer calls ``setup``, or you do.
        history: The rows of ``metrics.csv``; NaN where a key was not logged.
    """

    folder: Path
    checkpoint: Path
    config: dict[str, Any]
    model: LightningModule
    data: LightningDataModule
    history: "DataFrame"


def load_run(
    which: str | Path = "latest",
    runs: str | Path = "runs",
    *,
    weights: Literal["best", "last"] = "best",
    allow: tuple[str, ...] = (),
) -> LoadedRun:
    """Load a run of ``fit`` by its name; nothing is written, and random numbers are seeded as in the run.

    Args:
        which: ``latest``, the name of a folder in ``runs``, that name without its time, or a path.
        runs: Folder of all runs.
        weights: Which checkpoint to take, the best or the last one; the other one if it is missing.
        allow: Packages that the config may name besides this project and its libraries.

    Raises:
        InputError: There is no such run, it has no checkpoint, or its config can no longer be used.
    """
    import pandas as pd

    folder = find_run(str(which), Path(runs))
    checkpoint = find_checkpoint(folder, weights)
    config = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    args = ["test", f"--config={folder / CONFIG}", "--trainer.logger=false", "--trainer.callbacks=null"]
    if "seed" in (arguments := config["data"].get("init_args", {})) and arguments["seed"] is None:
        args.append(f"--data.init_args.seed={config['seed_everything']}")  # whatever seed is set later
    model, data = _make_parts(args, run_folder=folder, init_from=checkpoint, allow=allow)
    path = folder / METRICS
    return LoadedRun(
        folder=folder,
        checkpoint=checkpoint,
        config=config,
        model=model.eval(),
        data=data,
        history=pd.read_csv(path) if path.is_file() else pd.DataFrame({"step": [], "epoch": []}),
    )


def _make_parts(args: list[str], **options: Any) -> tuple[LightningModule, LightningDataModule]:
    """The model, with its weights, and the data of a command line; see ``CLI``."""
    from .cli.lightning import CLI  # late: the project imports this module, and predict needs no CLI of fit

    class Loading(CLI):
        """Makes all parts of a run, and runs nothing."""

        def execute(self, subcommand: str) -> None:
            pass

    cli = Loading(args, **options)
    return cli.model, cli.datamodule
