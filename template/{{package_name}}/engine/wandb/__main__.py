"""``python -m PACKAGE.engine.wandb check`` asks the server, ``sync [RUNS_FOLDER]`` uploads."""

import sys

from .server import main

sys.exit(main())
