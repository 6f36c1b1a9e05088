"""Images with masks: pairs of files, what the masks' values mean, both decoded to bytes."""

from .coding import UNKNOWN, Coding, find_coding
from .files import fingerprint
from .pairs import MaskSet, find_pairs, read_pairs

__all__ = ["UNKNOWN", "Coding", "MaskSet", "find_coding", "find_pairs", "fingerprint", "read_pairs"]
