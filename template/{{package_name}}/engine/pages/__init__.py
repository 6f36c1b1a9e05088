"""The frame of all pages: one file that needs no server and no network."""

import base64
import hashlib
import json
from html import escape
from pathlib import Path
from string import Template
from typing import Any

FRAME = Path(__file__).with_name("frame.html")


def make_page(title: str, *, style: str, script: str, data: Any) -> str:
    """A page whose script draws ``data``.

    Args:
        title: Title as plain text.
        style: CSS.
        script: JavaScript; it finds ``data`` as JSON in the element with the id ``data``.
        data: Plain values, without NaN.
    """
    return Template(FRAME.read_text(encoding="utf-8")).substitute(
        title=escape(title),
        script_hash="sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=style,
        script=script,
        data=as_json(data),
    )


def as_json(data: Any) -> str:
    """JSON in which no text can close the HTML element that holds it."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace(
        "<", "\\u003c"
    )
