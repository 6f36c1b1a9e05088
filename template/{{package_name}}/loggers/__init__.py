"""Where the numbers of a run go."""

from .run_folder import RunFolderLogger

__all__ = ["RunFolderLogger"]
