import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from my_project.engine.sweep.page import write_page
from my_project.engine.sweep.plan import Plan
from my_project.engine.sweep.results import read_rows
from my_project.engine.sweep.study import Study
from optuna.trial import TrialState
from sweep_support import MakePlan

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def make_study(plan: Plan) -> Study:
    """A study whose trials have ended, without any training."""
    study = Study(plan, create=True)
    study.enqueue()
    while claim := study.claim():
        x = claim.trial.suggest_float("x", 0, 1)
        with study.alive(claim):
            study.complete(claim, [(x - 0.3) ** 2 for _ in plan.objectives])
    return study


@pytest.fixture
def page(make_plan: MakePlan) -> Path:
    """The page of a study with a hostile name and six trials."""
    study = make_study(make_plan(name="</script><b>", num_trials=6))
    path = write_page(study, read_rows(study), [])
    study.close()
    return path


def test_the_page_needs_nothing_but_itself(page: Path) -> None:
    text = page.read_text()

    assert not re.findall(r"(?:src|href)=\"(?!data:)", text.partition("<script")[0])
    assert "default-src 'none'" in text
    assert "<b>" not in text
    assert text.count("</script>") == 2
    content = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    assert [trial["state"] for trial in content["trials"]] == ["complete"] * 6
    assert content["importances"] == [{"x": 1.0}]


def test_a_study_of_several_objectives_without_results_has_a_page(make_plan: MakePlan) -> None:
    plan = make_plan(objectives={"val/loss": "minimize", "val/accuracy": "maximize"})
    study = Study(plan, create=True)
    study.enqueue()

    text = write_page(study, read_rows(study), []).read_text()

    assert '"state":"waiting"' in text
    assert not study.trials(TrialState.COMPLETE)
    study.close()


@pytest.mark.faults
def test_a_browser_shows_the_page_offline(page: Path, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("there is no Chromium")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command = [browser, *options, f"--user-data-dir={tmp_path / 'browser'}", "--dump-dom", page.as_uri()]

    done = subprocess.run(command, capture_output=True, text=True, timeout=120)

    titles = re.findall(r"<h2[^>]*>([^<]+)</h2>", done.stdout)
    assert titles == ["History", "Parallel coordinates", "Importances", "Slices", "Trials"]
    assert done.stdout.count("<circle") == 12
    assert done.stdout.count('class="path') == 6
    assert "CONSOLE" not in done.stderr
