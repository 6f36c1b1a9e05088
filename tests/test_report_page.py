"""The page of a run in a real browser: what it fetches, what it shows and what a reader can do."""

import json
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Render
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
HOSTILE = "</script><b>bold</b><img src=x onerror='document.title=1'>"
STEPS = (10, 20, 30)

pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER),
    reason="no Chromium or no driver for it: apt-get install chromium chromium-driver",
)
Open = Callable[..., webdriver.Chrome]


def png(pixels: list[list[tuple[int, int, int]]]) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", len(pixels[0]), len(pixels), 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + b"".join(map(bytes, row)) for row in pixels)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def make_run(run: Path, lr: float) -> Path:
    """Three epochs of training, a figure and a sheet of two images for each, and a test."""
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "best.ckpt").touch()
    (run / "log.txt").write_text("trained\n")
    (run / "config.yaml").write_text(
        "checkpoint: {monitor: val/loss, mode: min}\ntrainer: {max_epochs: 3}\nseed_everything: 1\n"
        f"model:\n  init_args:\n    optimizer:\n      init_args:\n        lr: {lr}\n"
    )
    start = {"stage": "fit", "started": "2026-01-02T03:04:05+0000", "command": f"train {HOSTILE}"}
    start |= {"class_counts": {"dog": 300, "cat": 1200}, "majority_accuracy": 0.8}
    (run / "run.json").write_text(json.dumps([start]))
    rows = ["step,epoch,train/loss,val/loss,val/accuracy,test/accuracy"]
    for epoch, step in enumerate(STEPS):
        loss = lr * (100, 10, 20)[epoch]
        rows.append(f"{step},{epoch},{loss * 2:.7g},{loss:.7g},0.{5 + epoch},")
    (run / "metrics.csv").write_text("\n".join([*rows, "20,2,,,,0.65", ""]))
    for number, step in enumerate(STEPS):
        matrix, sheet = (run / "figures" / key for key in ("val/confusion_matrix", "val/worst"))
        for folder in (matrix, sheet):
            folder.mkdir(parents=True, exist_ok=True)
        (matrix / f"step-{step:08d}.png").write_bytes(png([[(80 * number, 0, 0)] * 320] * 240))
        red, blue, white = (255, 0, number), (0, 0, 255), (255, 255, 255)
        image_rows = [[white, *[red] * 8, white, *[blue] * 8, white]] * 8
        (sheet / f"step-{step:08d}.png").write_bytes(png([[white] * 19, *image_rows, [white] * 19]))
        images = [
            {"box": [1, 1, 8, 8], "caption": f"true cat, predicted dog 0.9{number}\nindex 4711, error 0.99"},
            {"box": [10, 1, 8, 8], "caption": HOSTILE},
        ]
        (sheet / f"step-{step:08d}.json").write_text(json.dumps({"images": images}))
    return run


@pytest.fixture(scope="module")
def pages(render: Render, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The page of one run, and that of two, written by the package of a rendered project."""
    folder = tmp_path_factory.mktemp("runs")
    runs = [make_run(folder / name, lr) for name, lr in (("first-run", 0.1), ("second-run", 0.01))]
    one, two = runs[0] / "report.html", folder / "both.html"
    write_page(render, one, *runs[:1])
    write_page(render, two, *runs)
    return one, two


def write_page(render: Render, to: Path, *runs: Path) -> None:
    code = "import sys; from pathlib import Path; from my_project.engine.report import write_report\n"
    code += "write_report(*[list(map(Path, sys.argv[2:])), Path(sys.argv[1])])"
    command = [sys.executable, "-c", code, str(to), *map(str, runs)]
    subprocess.run(command, cwd=render(), check=True, timeout=60)


@pytest.fixture(scope="module")
def chrome() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options, webdriver.ChromeService(DRIVER)) as browser:
        yield browser


@pytest.fixture
def visit(chrome: webdriver.Chrome) -> Open:
    """Opens a page in a window of its own width and colour scheme, with empty logs."""

    def visit(page: Path, width: int = 1400, scheme: str = "light") -> webdriver.Chrome:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        feature = {"name": "prefers-color-scheme", "value": scheme}
        chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        chrome.get("about:blank")
        for log in ("browser", "performance"):
            chrome.get_log(log)
        chrome.get(page.as_uri())
        return chrome

    return visit


def find(browser: webdriver.Chrome, selector: str) -> list[WebElement]:
    return browser.find_elements(By.CSS_SELECTOR, selector)


def texts(browser: webdriver.Chrome, selector: str) -> list[str]:
    return [found.text for found in find(browser, selector)]


def chart(browser: webdriver.Chrome, title: str) -> WebElement:
    (found,) = [
        card for card in find(browser, "figure") if card.find_element(By.TAG_NAME, "h3").text == title
    ]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
    return found


def brightness(browser: webdriver.Chrome, property_: str) -> float:
    script = "return getComputedStyle(document.body)[arguments[0]].match(/[0-9]+/g).slice(0, 3).map(Number)"
    return sum(browser.execute_script(script, property_)) / (3 * 255)


def test_both_pages_draw_without_an_error_and_fetch_nothing(pages: tuple[Path, Path], visit: Open) -> None:
    for page in pages:
        browser = visit(page)

        events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
        sent = [
            event["params"]["request"]["url"] for event in events if "requestWillBeSent" in event["method"]
        ]
        assert len(find(browser, ".plot path")) >= 3
        assert browser.get_log("browser") == []
        assert page.as_uri() in sent
        assert [url for url in sent if url != page.as_uri() and not url.startswith("data:")] == []


def test_shows_state_results_and_links_that_lead_somewhere(pages: tuple[Path, Path], visit: Open) -> None:
    browser = visit(pages[0])

    assert texts(browser, "h1") == ["first-run"]
    assert texts(browser, ".line span")[:3] == ["finished", "epoch 3 of 3", "started 2026-01-02 03:04"]
    tiles = dict(text.split("\n", 1) for text in texts(browser, ".tile"))
    assert tiles["val/loss"] == "1\nlast 2"
    assert tiles["val/accuracy"] == "0.6\nlast 0.7"
    assert tiles["test/accuracy"] == "0.65"
    links = {link.text: str(link.get_property("href")) for link in find(browser, ".files a")}
    assert {"metrics.csv", "log.txt", "checkpoints/best.ckpt"} <= set(links)
    assert all(Path(address.removeprefix("file://")).is_file() for address in links.values())


def test_classes_have_bars_and_the_largest_its_accuracy(pages: tuple[Path, Path], visit: Open) -> None:
    browser = visit(pages[0])

    assert texts(browser, ".bars li") == ["cat\n1,200", "dog\n300"]
    shares = [bar.value_of_css_property("background-size") for bar in find(browser, ".bars i")]
    assert shares == ["100% 100%", "25% 100%"]
    assert "Examples in training. Always predicting cat has accuracy 0.8 in validation." in texts(
        browser, ".note"
    )
    assert not find(visit(pages[1]), ".bars")


def test_text_of_the_run_is_no_markup(pages: tuple[Path, Path], visit: Open) -> None:
    browser = visit(pages[0])

    assert browser.title == "first-run"
    assert not find(browser, ".images b, .images img, pre b, pre img")
    assert HOSTILE in texts(browser, ".images p")


def test_the_slider_changes_pictures_captions_and_the_step(pages: tuple[Path, Path], visit: Open) -> None:
    browser = visit(pages[0])
    (slider,) = find(browser, "input[type=range]")
    shown = []
    for _ in STEPS:
        (figure,), (sheet,) = find(browser, ".picture img"), find(browser, ".images")
        caption = texts(browser, ".images p")[0]
        shown.append((figure.get_attribute("src"), sheet.get_attribute("style"), caption))
        assert texts(browser, "output")[0] in str(figure.get_attribute("alt"))
        slider.send_keys(Keys.ARROW_LEFT)

    assert all(len(set(column)) == len(STEPS) for column in zip(*shown, strict=True))
    assert texts(browser, "output")[0] == "step 10 · epoch 1"
    slider.send_keys(Keys.END)
    assert texts(browser, "output")[0] == "step 30 · epoch 3"
    assert slider.get_attribute("aria-valuetext") == "step 30 · epoch 3"


def test_each_image_is_cut_out_of_its_sheet(pages: tuple[Path, Path], visit: Open) -> None:
    browser = visit(pages[0])
    images = find(browser, ".image")

    names = [image.accessible_name for image in images]
    assert names == ["true cat, predicted dog 0.92, index 4711, error 0.99", HOSTILE]
    for image in images:
        size = image.rect
        assert abs(size["width"] - size["height"]) < 1
        # The sheet has 19 x 10 pixels, of which 8 x 8 fill the tile.
        assert image.value_of_css_property("background-size") == "237.5% 125%"
    positions = [image.value_of_css_property("background-position-x") for image in images]
    assert [round(float(position.rstrip("%")), 2) for position in positions] == [9.09, 90.91]


def test_texts_are_wide_enough_to_be_read(render: Render, tmp_path: Path, visit: Open) -> None:
    run = make_run(tmp_path / "texts", 0.1)
    sheet = run / "figures/val/worst" / f"step-{STEPS[-1]:08d}.png"
    sheet.write_bytes(png([[(9, 9, 9)] * 576] * 100))
    images = [{"box": [left, 0, 288, 100], "caption": "true 1"} for left in (0, 288)]
    sheet.with_suffix(".json").write_text(json.dumps({"images": images}))
    write_page(render, run / "report.html", run)

    for width in (1400, 420):
        found = find(visit(run / "report.html", width), ".image")
        assert [round(image.rect["width"] / image.rect["height"], 1) for image in found] == [2.9, 2.9]
        assert all(image.rect["width"] >= 240 for image in found)
        assert found[0].value_of_css_property("image-rendering") == "auto", "letters are smoothed"


def test_the_pointer_and_the_arrow_keys_read_values(pages: tuple[Path, Path], visit: Open) -> None:
    browser = visit(pages[0])
    loss = chart(browser, "loss")
    plot, tooltip = (loss.find_element(By.CSS_SELECTOR, selector) for selector in (".plot", ".tooltip"))
    assert not tooltip.is_displayed()

    ActionChains(browser).move_to_element(plot).perform()
    assert tooltip.text.split("\n") == ["step 20 · epoch 2", "train/loss", "2", "val/loss", "1"]
    assert len(loss.find_elements(By.CSS_SELECTOR, ".crosshair")) == 1

    plot.send_keys(Keys.ARROW_RIGHT)
    assert tooltip.text.split("\n")[0] == "step 30 · epoch 3"
    plot.send_keys(Keys.HOME)
    assert tooltip.text.split("\n")[:3] == ["step 10 · epoch 1", "train/loss", "20"]

    ActionChains(browser).move_to_element(find(browser, "h1")[0]).perform()
    assert not tooltip.is_displayed()


def test_the_loss_has_a_logarithmic_scale(pages: tuple[Path, Path], visit: Open) -> None:
    browser = visit(pages[0])
    loss = chart(browser, "loss")
    before = [text.text for text in loss.find_elements(By.CSS_SELECTOR, "svg text")]

    loss.find_element(By.CSS_SELECTOR, "input").click()

    ticks = [text.text for text in loss.find_elements(By.CSS_SELECTOR, "svg text")]
    assert {"1", "2", "5", "10", "20"} <= set(ticks) != set(before)
    assert not chart(browser, "accuracy").find_elements(By.CSS_SELECTOR, "input")


def test_a_chart_of_one_stage_says_which_and_marks_no_step_of_another(
    render: Render, tmp_path: Path, visit: Open
) -> None:
    """The best step is in the last stage."""
    run = make_run(tmp_path / "staged", 0.1)
    (run / "stages.yaml").write_text("stages: [{name: draw}, {name: name}]\n")
    rows = [f"{step},1,{step // 10},{step},{step},," for step in (9, 19)]
    rows += [f"{step},2,{step // 10 - 2},{step},,{step},{step}" for step in (29, 39)]
    head = "step,stage,epoch,train/loss,val/pixels,val/loss,val/accuracy"
    (run / "metrics.csv").write_text("\n".join([head, *rows, ""]))
    write_page(render, run / "report.html", run)
    browser = visit(run / "report.html")

    def marks(title: str) -> tuple[list[str], list[str]]:
        card = chart(browser, title)
        words = [found.text for found in card.find_elements(By.CSS_SELECTOR, "svg text")]
        lines = card.find_elements(By.CSS_SELECTOR, "line.stage, line.best")
        return [word for word in words if word in ("draw", "name", "best")], [
            str(line.get_attribute("class")) for line in lines
        ]

    assert marks("loss") == (["draw", "name", "best"], ["stage", "best"])
    assert marks("pixels") == (["draw"], [])
    assert marks("accuracy") == (["name", "best"], ["best"])


@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_is_wider_than_the_window(pages: tuple[Path, Path], visit: Open, width: int) -> None:
    for page in pages:
        browser = visit(page, width=width)

        assert browser.execute_script("return innerWidth") == width
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_follows_the_colour_scheme_of_the_system(pages: tuple[Path, Path], visit: Open, scheme: str) -> None:
    browser = visit(pages[0], scheme=scheme)

    text, ground = (brightness(browser, property_) for property_ in ("color", "backgroundColor"))
    assert abs(text - ground) > 0.7
    assert (text > ground) == (scheme == "dark")


def test_several_runs_stand_side_by_side(pages: tuple[Path, Path], visit: Open) -> None:
    browser = visit(pages[1])
    results = [row.split() for row in texts(browser, "section table")[0].split("\n")]

    assert results[0] == ["first-run", "second-run"]
    assert ["val/loss", "1", "0.1", "★"] in results
    assert ["val/accuracy", "0.6", "0.6"] in results
    val_loss = chart(browser, "val/loss")
    assert val_loss.find_element(By.CSS_SELECTOR, ".legend").text.split("\n") == ["first-run", "second-run"]
    colours = {path.value_of_css_property("stroke") for path in val_loss.find_elements(By.TAG_NAME, "path")}
    assert len(colours) == 2
    first, second = (chart(browser, f"val/worst · {name}-run").rect for name in ("first", "second"))
    assert first["x"] + first["width"] <= second["x"]
    differences = texts(browser, "section table")[-1]
    assert "model.init_args.optimizer.init_args.lr 0.1 0.01" in differences
    assert "seed_everything" not in differences
