"""The machinery behind one door: subclass it or call it, and an update brings its next version.

Nothing in here imports from outside. The rooms of the project import from here: the bases of structs, models
and datamodules are in ``contracts``, ``module`` and ``data``, that of callbacks in ``instruments``. Inside,
imports go downwards, from ``load_run`` and ``cli`` to ``errors``. The leaves are ``report``, ``sweep``,
``wandb`` and ``bolts``: delete the folder of one, and everything else still works.
"""

from pathlib import Path

PACKAGE = __name__.partition(".")[0]  # the project's package
PROJECT = Path(__file__).parents[2]  # the project's folder, where it is not installed elsewhere
CONFIGS = PROJECT / "configs"
LIGHTNING = ("pytorch_lightning", "lightning_fabric")  # its packages
