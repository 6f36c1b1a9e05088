"""A run in Python, such as in a notebook: what it trained, on which data, and what came out."""

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
    """What is left of a run.

    Attributes:
        folder: Of the run.
        checkpoint: Whose weights the model has.
        config: All that was set, as in ``config.yaml``.
        model: On the CPU, in evaluation mode, with the metrics of the config; call ``train()`` to train on.
        data: As the run had it; ``setup`` is called by a Trainer, or by you.
        history: A row for each logged step, as in ``metrics.csv``; NaN where a key was not logged.
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
    """A run of ``fit`` by its name; nothing is written, and torch's random numbers begin as the run's did.

    Args:
        which: ``latest``, the name of a folder in ``runs``, that name without its time, or a path.
        runs: Folder of all runs.
        weights: Of the best checkpoint, or of the last; the other one where it is missing.
        allow: Packages that the config may name beside this project and its libraries.

    Raises:
        InputError: There is no such run, it has no checkpoint, or its config can no longer be used.
    """
    import pandas as pd

    folder = find_run(str(which), Path(runs))
    checkpoint = find_checkpoint(folder, weights)
    config = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    args = ["test", f"--config={folder / CONFIG}", "--trainer.logger=false", "--trainer.callbacks=null"]
    if "seed" in (arguments := config["data"].get("init_args", {})) and arguments["seed"] is None:
        args.append(f"--data.init_args.seed={config['seed_everything']}")  # whatever is seeded later
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
    from .cli.lightning import CLI  # who imports a model, such as predict, needs no command line of fit

    class Loading(CLI):
        """Makes all parts of a run, and runs nothing."""

        def execute(self, subcommand: str) -> None:
            pass

    cli = Loading(args, **options)
    return cli.model, cli.datamodule
