"""The page: a frame with style and script, and the runs as plain values that the script draws."""

import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..pages import make_page
from ..runs.files import replacing
from ..runs.folder import REPORT
from .pictures import choose_pictures, encode_picture, find_pictures
from .run_data import read_run
from .thinning import thin_curve

MAX_BYTES = 5_000_000
MAX_POINTS, MAX_POINTS_OF_PAGE, MAX_CURVES = 1000, 60_000, 2000  # 60,000 points take about 1.2 MB
HERE = Path(__file__).parent


def write_report(runs: list[Path], to: Path) -> None:
    """Write a page about a run, or about several side by side.

    It needs no server and no network, and has at most 5 MB, whatever the runs hold.

    Args:
        runs: Folders of the runs; what is missing or half written in them is left out.
        to: Path of the page, which is replaced atomically.

    Raises:
        OSError: The disk is full or cannot be written to.
    """
    page = page_of(runs, to).encode("utf-8", errors="replace")
    with replacing(to) as partial:
        partial.write_bytes(page)


def page_of(runs: list[Path], to: Path) -> str:
    """The page as text, with links relative to the folder of ``to``."""
    style, script = ((HERE / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    data: dict[str, Any] = {"runs": [read_run(run) for run in runs], "written": time.time()}
    for run, values in zip(runs, data["runs"], strict=True):
        values["link"] = quote(os.path.relpath(run, to.parent))
        values["has_page"] = (run / REPORT).is_file()
    data["notes"] = {"curves": _thin_curves(data["runs"]), "pictures": []}
    # Pictures get the room that everything else leaves.
    used = len(make_page("", style=style, script=script, data=data).encode("utf-8", errors="replace"))
    data["pictures"], data["notes"]["pictures"] = _pictures(runs, MAX_BYTES - used - 10_000)
    return make_page(" and ".join(run.name for run in runs), style=style, script=script, data=data)


def _thin_curves(runs: list[dict[str, Any]]) -> list[str]:
    """Thin out all curves in place; return sentences about what was left out."""
    notes = []
    num_curves = sum(len(run["curves"]) for run in runs)
    max_points = min(MAX_POINTS, max(20, MAX_POINTS_OF_PAGE // max(num_curves, 1)))
    if any(len(points) > max_points for run in runs for points in run["curves"].values()):
        notes.append(
            f"Curves of more than {max_points:,} points are thinned out: their first, last, lowest and "
            "highest values are kept. All are in metrics.csv."
        )
    if num_curves > MAX_CURVES:
        notes.append(f"Of {num_curves:,} curves, at most {MAX_CURVES:,} are shown. All are in metrics.csv.")
    for run in runs:
        kept = list(run["curves"].items())[: MAX_CURVES // len(runs)]
        run["curves"] = {key: list(zip(*thin_curve(points, max_points), strict=True)) for key, points in kept}
        for key, steps in list(run.pop("lost").items())[:20]:
            where = f"{key} of {run['name']}" if len(runs) > 1 else key
            notes.append(
                f"{where}: {len(steps):,} values are NaN or infinite, the first at step {steps[0]:,}."
            )
    return notes


def _pictures(runs: list[Path], room: int) -> tuple[list[dict[str, Any]], list[str]]:
    """Pictures as plain values, by split, key, run and step; and a sentence about those left out."""
    found = [find_pictures(run) for run in runs]
    keys = sorted({key for of_run in found for key in of_run}, key=_picture_rank)
    series = [of_run.get(key, []) for key in keys for of_run in found]
    encoded = [
        list(filter(None, map(encode_picture, pictures))) for pictures in choose_pictures(series, room)
    ]
    groups: dict[str, list[dict[str, Any]]] = {}
    for number, key in enumerate(keys):
        of_key = encoded[number * len(runs) : (number + 1) * len(runs)]
        if any(of_key):
            groups.setdefault(key.split("/")[0], []).append({"key": key, "runs": of_key})
    num_found, num_shown = (sum(map(len, lists)) for lists in (series, encoded))
    note = f"{num_shown:,} of {num_found:,} pictures are shown, evenly over the steps. All are in figures/."
    shown = [{"title": split, "rows": rows} for split, rows in groups.items()]
    return shown, [note] if num_shown < num_found else []


def _picture_rank(key: str) -> tuple[int, int, int, str]:
    """Sort key: validation, test, others; named sets last; figures, worst images, best images."""
    split, _, name = key.partition("/")
    order = ("val", "test").index(split) if split in ("val", "test") else 2
    kind = {"worst": 1, "best": 2}.get(name.rpartition("/")[2], 0)
    return order, key.count("/"), kind, key
