"""A config or a checkpoint from elsewhere cannot run code that the user did not allow."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from my_project.__main__ import main as run
from my_project.engine.errors import InputError
from my_project.engine.trust import allowed
from my_project.engine.trust.allowed import import_allowed, restrict
from my_project.model import load_model
from support import CONFIG

POPEN = {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", "planted"]}}
EVIL = "open('planted', 'w').close()\nfrom torch.nn import Linear as Net, CrossEntropyLoss as Loss\n"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package that is installed, but no part of the project: importing it leaves a file."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "evil.py").write_text(EVIL)
    monkeypatch.syspath_prepend(folder)
    Path("config.yaml").write_text(yaml.safe_dump(CONFIG))
    yield folder
    for name in ("evil", "own", "photos", "photos.evil"):
        sys.modules.pop(name, None)


def put(key: str, value: Any) -> str:
    """A config with ``value`` at ``key``; its path."""
    config = yaml.safe_load(Path("config.yaml").read_text())
    *parents, last = key.split(".")
    inner = config
    for name in parents:
        inner = inner.setdefault(name, {})
    inner[last] = value
    Path("bad.yaml").write_text(yaml.safe_dump(config))
    return "bad.yaml"


@pytest.mark.parametrize(
    ("key", "value", "package"),
    [
        ("model", POPEN, "subprocess"),
        ("model", "evil.Net", "evil"),
        ("data", POPEN, "subprocess"),
        ("data.class_path", "evil.Net", "evil"),
        ("model.init_args.optimizer", POPEN, "subprocess"),
        ("model.init_args.optimizer", "os.system", "os"),
        ("model.init_args.optimizer", "torch.os.system", "posix"),
        ("model.init_args.optimizer", "torch.hub.load", "torch.hub"),
        ("model.init_args.lr_scheduler", "builtins.eval", "builtins.eval"),
        ("model.init_args.criterion", {"class_path": "evil.Loss"}, "evil"),
        ("model.init_args.metrics", {"x": "evil.Net"}, "evil"),
        ("trainer.callbacks", [POPEN], "subprocess"),
        ("trainer.callbacks", ["evil.Net"], "evil"),
        ("trainer.logger", POPEN, "subprocess"),
        ("trainer.plugins", [{"class_path": "evil.Net"}], "evil"),
        ("trainer.strategy", {"class_path": "evil.Net"}, "evil"),
        ("trainer.profiler", {"class_path": "evil.Net"}, "evil"),
    ],
)
def test_a_config_may_not_name_what_is_not_allowed(
    capsys: pytest.CaptureFixture[str], key: str, value: Any, package: str
) -> None:
    assert run(["fit", "--config", put(key, value)]) == 2

    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "expected a name from your own modules" in line
    assert line.endswith(f"if you trust it: --allow {package}")
    assert not Path("planted").exists()


@pytest.mark.parametrize("option", ["--model=evil.Net", "--model.init_args.optimizer=os.system"])
def test_nor_may_an_option(capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert run(["fit", "--config=config.yaml", option]) == 2

    assert "--allow" in capsys.readouterr().err
    assert not Path("planted").exists()


@pytest.mark.parametrize("value", [POPEN, "os.system"])
@pytest.mark.parametrize("key", ["trainer.default_root_dir", "model.init_args.metrics"])
def test_what_stands_where_anything_may_stand_is_not_run(key: str, value: Any) -> None:
    value = {"x": value} if key.endswith("metrics") else value
    run(["fit", "--config", put(key, value)])

    assert not Path("planted").exists()


def test_the_user_may_allow_a_package_for_one_command(capsys: pytest.CaptureFixture[str]) -> None:
    bad = put("model.init_args.criterion", {"class_path": "evil.Loss"})

    assert run(["fit", "--config", bad, "--allow", "evil", "--allow=os"]) == 0
    assert Path("planted").exists()
    assert run(["fit", "--config", bad]) == 2
    assert "--allow evil" in capsys.readouterr().err


def test_a_config_cannot_allow_anything(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fit", "--config", put("allow", ["evil"])]) == 2

    assert "no such option: 'allow'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["no package", "", "jsonargparse", "a..b"])
def test_allows_names_of_packages_only(name: str) -> None:
    with pytest.raises(InputError, match="expected the name of a package after --allow"):
        restrict([name])


@pytest.mark.parametrize("path", ["own.py", "own/__init__.py"])
def test_own_modules_in_the_current_folder_need_no_permission(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.syspath_prepend(Path.cwd())
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text("from torch.nn import CrossEntropyLoss\nclass Mine(CrossEntropyLoss): pass\n")

    assert run(["fit", "--config", put("model.init_args.criterion", {"class_path": "own.Mine"})]) == 0


def test_a_folder_of_data_is_no_module(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(Path.cwd())
    Path("photos").mkdir()
    Path("photos/evil.py").write_text(EVIL)

    assert run(["fit", "--config", put("model.init_args.criterion", {"class_path": "photos.evil.Loss"})]) == 2

    assert "--allow photos" in capsys.readouterr().err
    assert not Path("planted").exists()


def test_an_installed_package_does_not_make_its_neighbours_the_users_own(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowed, "PROJECT", elsewhere)
    with pytest.raises(InputError, match="--allow evil"):
        import_allowed("evil")

    (elsewhere / "pyproject.toml").touch()
    assert import_allowed("evil").__name__ == "evil"


def test_a_checkpoint_may_not_name_a_model_that_is_not_allowed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.save({"state_dict": {}, "model_class": "evil.Net"}, "bad.ckpt")

    with pytest.raises(InputError, match=r"bad.ckpt names a class .* --allow evil"):
        load_model("bad.ckpt")
    assert not Path("planted").exists()
    Path("image.png").touch()
    assert run(["predict", "bad.ckpt", "image.png", "--allow=evil"]) == 2
    assert "expected a subclass of BaseModel" in capsys.readouterr().err
