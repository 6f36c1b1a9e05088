"""Datamodules of lightning-bolts, an older library: delete this folder if you do not want them."""

import re
from importlib.util import find_spec

from ..errors import InputError


def prepare(text: str) -> None:
    """Import what a config names of lightning-bolts, where that is installed.

    Raises:
        InputError: One of its datamodules is not wrapped in ``BoltsData``.
    """
    from .datamodules import import_bolts

    if "pl_bolts." in text and "BoltsData" not in text:
        raise InputError("expected BoltsData around datamodules of lightning-bolts; see configs/bolts.yaml")
    if find_spec("pl_bolts"):
        import_bolts(re.findall(r"\bpl_bolts(?:\.\w+)+", text))
