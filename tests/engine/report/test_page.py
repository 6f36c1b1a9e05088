import json
import random
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from my_project.engine.report import page as module
from my_project.engine.report.page import MAX_BYTES, MAX_CURVES, write_report

HOSTILE = "</script><b>&\"'\u2028 ${x} $data"


def png(width: int = 4, height: int = 3, num_bytes: int = 0) -> bytes:
    """A PNG file; with ``num_bytes`` of random comment, to make it as large as wanted."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    pixels = zlib.compress(b"".join(b"\0" + bytes(width) for _ in range(height)))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    comment = chunk(b"zzZz", random.Random(0).randbytes(num_bytes)) if num_bytes else b""
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + comment + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def make_run(run: Path, metrics: str = "step,epoch,val/loss\n1,0,2\n2,1,1\n", config: str = "a: 1\n") -> Path:
    run.mkdir(parents=True)
    (run / "metrics.csv").write_text(metrics)
    (run / "config.yaml").write_text(config)
    return run


def add_picture(run: Path, key: str, step: int, content: bytes, captions: list[str] | None = None) -> None:
    path = run / "figures" / key / f"step-{step:08d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if captions is not None:
        images = [{"box": [0, 0, 2, 2], "caption": caption} for caption in captions]
        path.with_suffix(".json").write_text(json.dumps({"images": images}))


def page_of(*runs: Path, to: Path | None = None) -> str:
    to = to or runs[0] / "report.html"
    write_report(list(runs), to)
    return to.read_text()


def data_of(page: str) -> dict[str, Any]:
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(data)


def test_holds_curves_config_and_links(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "20260101-000000-digits"))

    data = data_of(page)
    assert data["runs"][0]["curves"] == {"val/loss": [[1, 2], [2.0, 1.0]]}
    assert data["runs"][0]["texts"]["config.yaml"] == "a: 1\n"
    assert data["runs"][0]["files"] == ["config.yaml", "metrics.csv"]
    assert data["runs"][0]["link"] == "."
    assert data["pictures"] == []
    assert "<title>20260101-000000-digits</title>" in page


def test_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "run"))

    addresses = set(re.findall(r"https?://[^\"'\s]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of SVG; nothing is fetched by it
    assert not re.search(r"<(script|img|link|iframe)[^>]*\s(src|href)=\"(?!data:)", page)
    assert "default-src 'none'" in page


def test_text_of_a_run_stays_text(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a&<b>", config=f"{json.dumps(HOSTILE)}: {json.dumps(HOSTILE)}\n")
    (run / "metrics.csv").write_text(f'step,"val/{HOSTILE.replace(chr(34), "")}"\n1,2\n2,1\n')
    (run / "run.json").write_text(json.dumps([{"stage": "fit", "command": HOSTILE, "started": HOSTILE}]))
    add_picture(run, "val/<i>worst", 1, png(), [HOSTILE])

    page = page_of(run)

    data = data_of(page)
    assert page.count("</script>") == 2
    assert "<b>" not in page
    assert "<title>a&amp;&lt;b&gt;</title>" in page
    assert data["runs"][0]["config"] == {HOSTILE: HOSTILE}
    assert data["pictures"][0]["rows"][0]["runs"][0][0]["images"][0]["caption"] == HOSTILE


def test_pictures_are_grouped_by_split_and_keep_their_boxes(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    for step in (20, 3):
        add_picture(run, "val/worst", step, png(6, 5), ["true cat\nindex 4"])
    add_picture(run, "val/confusion_matrix", 20, png())
    add_picture(run, "test/best", 20, png(), [])

    groups = data_of(page_of(run))["pictures"]

    assert [group["title"] for group in groups] == ["val", "test"]
    assert [row["key"] for row in groups[0]["rows"]] == ["val/confusion_matrix", "val/worst"]
    (worst,) = groups[0]["rows"][1]["runs"]
    assert [picture["step"] for picture in worst] == [3, 20]
    assert (worst[0]["width"], worst[0]["height"]) == (6, 5)
    assert worst[0]["images"] == [{"box": [0, 0, 2, 2], "caption": "true cat\nindex 4"}]


@pytest.mark.parametrize(
    "boxes", ["", "{", '{"images": [{"box": [1, 2], "caption": "x"}]}', '{"images": 3}', "[]"]
)
def test_a_picture_without_whole_boxes_is_shown_as_it_is(tmp_path: Path, boxes: str) -> None:
    run = make_run(tmp_path / "run")
    add_picture(run, "val/worst", 1, png())
    (run / "figures/val/worst/step-00000001.json").write_text(boxes)

    (picture,) = data_of(page_of(run))["pictures"][0]["rows"][0]["runs"][0]
    assert picture["images"] == []


def test_a_half_written_picture_is_left_out(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    add_picture(run, "val/a", 1, png())
    add_picture(run, "val/a", 2, png()[:-5])
    add_picture(run, "val/b", 2, b"")

    data = data_of(page_of(run))

    assert [row["key"] for row in data["pictures"][0]["rows"]] == ["val/a"]
    assert [picture["step"] for picture in data["pictures"][0]["rows"][0]["runs"][0]] == [1]
    assert data["notes"]["pictures"] == [
        "1 of 3 pictures are shown, evenly over the steps. All are in figures/."
    ]


def test_an_oversized_run_is_thinned_out_and_the_page_says_so(tmp_path: Path) -> None:
    columns = [f"train/metric{number}" for number in range(40)]
    values = random.Random(1)
    rows = [",".join([str(step), *(f"{values.random():.7g}" for _ in columns)]) for step in range(3000)]
    run = make_run(tmp_path / "run", "\n".join([",".join(["step", *columns]), *rows, ""]))
    big = png(num_bytes=150_000)
    for step in range(60):
        add_picture(run, "val/confusion_matrix", step, big)
        add_picture(run, "val/worst", step, png(), ["<<<" * 100])
    add_picture(run, "val/huge", 59, png(num_bytes=6_000_000))

    page = page_of(run)

    data = data_of(page)
    shown = {row["key"]: row["runs"][0] for row in data["pictures"][0]["rows"]}
    assert 0.8 * MAX_BYTES < len(page.encode()) <= MAX_BYTES
    assert all(len(steps) <= 1000 for steps, _ in data["runs"][0]["curves"].values())
    assert "huge" not in shown
    assert shown["val/confusion_matrix"][-1]["step"] == shown["val/worst"][-1]["step"] == 59
    assert any("thinned out" in note for note in data["notes"]["curves"])
    assert any("of 121 pictures are shown" in note for note in data["notes"]["pictures"])


def test_very_many_curves_still_fit(tmp_path: Path) -> None:
    columns = [f"val/set{number}/loss" for number in range(5000)]
    rows = [",".join([str(step)] + ["0.1234567"] * len(columns)) for step in range(40)]
    run = make_run(tmp_path / "run", "\n".join([",".join(["step", *columns]), *rows, ""]))

    page = page_of(run)

    assert len(page.encode()) <= MAX_BYTES
    data = data_of(page)
    assert len(data["runs"][0]["curves"]) == MAX_CURVES
    assert any("Of 5,000 curves" in note for note in data["notes"]["curves"])


def test_values_that_are_not_finite_are_told(tmp_path: Path) -> None:
    data = data_of(page_of(make_run(tmp_path / "run", "step,val/loss\n1,1\n2,nan\n3,inf\n")))

    assert data["notes"]["curves"] == ["val/loss: 2 values are NaN or infinite, the first at step 2."]


def test_several_runs_share_a_page_with_links_to_each(tmp_path: Path) -> None:
    first, second = make_run(tmp_path / "runs" / "a"), make_run(tmp_path / "runs" / "b 1", config="a: 2\n")
    add_picture(second, "val/confusion_matrix", 5, png())
    write_report([first], first / "report.html")

    data = data_of(page_of(first, second, to=tmp_path / "runs" / "both.html"))

    assert [(run["name"], run["link"], run["has_page"]) for run in data["runs"]] == [
        ("a", "a", True),
        ("b 1", "b%201", False),
    ]
    assert [run["config"] for run in data["runs"]] == [{"a": "1"}, {"a": "2"}]
    (row,) = data["pictures"][0]["rows"]
    assert [len(pictures) for pictures in row["runs"]] == [0, 1]


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (tmp_path / "folder").mkdir()
    page_of(run)
    before = sorted(path.name for path in run.iterdir())

    with pytest.raises(OSError, match="folder"):
        write_report([run], tmp_path / "folder")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "run"]
    assert sorted(path.name for path in run.iterdir()) == before


def test_imports_nothing_heavy() -> None:
    heavy = {"torch", "numpy", "matplotlib", "PIL"}
    code = f"import sys, {module.__name__}; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"
