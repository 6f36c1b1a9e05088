"""A deep-learning project on PyTorch Lightning.

Importing this package costs nothing: torch and Lightning come with its modules.
"""

__version__ = "0.1.0"
