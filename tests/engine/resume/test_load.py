import os
from pathlib import Path

import pytest
import torch
from my_project.engine.errors import InputError
from my_project.model import load_checkpoint, load_model
from support import MakeFake, MakeNet, MakeTrainer


class Payload:
    """Unpickling it would make a file."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("planted",)


@pytest.fixture
def checkpoint(make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet) -> Path:
    trainer = make_trainer(max_steps=1, limit_val_batches=0)
    trainer.fit(make_net(optimizer=torch.optim.SGD, lr_scheduler=None), make_fake())
    trainer.save_checkpoint("run.ckpt")
    return Path("run.ckpt")


def test_holds_plain_data_only(checkpoint: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)

    assert content["data"] == {
        "num_outputs": 4,
        "class_names": tuple(f"pattern {n}" for n in range(4)),
        "shapes": {"image": (3, 8, 8)},
        "extras": {},
    }
    assert content["data_class"] == "my_project.data.fake.Fake"
    assert (content["takes_data"], content["step"]) == (False, 1)
    assert content["hyper_parameters"] == {
        "num_classes": 4,
        "width": 4,
        "depths": (0, 1),
        "stem_stride": 1,
    }


def test_a_payload_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "bad": Payload()}, tmp_path / "bad.ckpt")

    with pytest.raises(InputError, match="wants to run code"):
        load_checkpoint(tmp_path / "bad.ckpt")

    assert not Path("planted").exists()


@pytest.mark.parametrize("content", [b"lr: 0.1\n", b"cos\nsystem\n(S'true'\ntR.", b"\x89PNG\r\n"])
def test_what_is_no_checkpoint_is_not_said_to_run_code(tmp_path: Path, content: bytes) -> None:
    (path := tmp_path / "other.ckpt").write_bytes(content)

    with pytest.raises(InputError, match="is truncated or not a checkpoint"):
        load_checkpoint(path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_file_cut_short_is_named(checkpoint: Path, share: float) -> None:
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: int(share * len(whole))])

    with pytest.raises(InputError, match=r"run.ckpt is truncated or not a checkpoint"):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_class": "os.path.join"}, "expected a subclass of BaseModel"),
        ({"model_class": "no.such.Model"}, "got no.such.Model"),
        ({"model_class": None}, "got None"),
        (
            {"state_dict": {}},
            r"tensors differ, first features.0.0.weight: expected \(1, 3, 3, 3\), got None",
        ),
    ],
)
def test_what_is_no_model_of_ours_is_refused(
    checkpoint: Path, change: dict[str, object], message: str
) -> None:
    torch.save({**torch.load(checkpoint, weights_only=True), **change}, checkpoint)

    with pytest.raises(InputError, match=message):
        load_model(checkpoint)


def test_refuses_what_is_not_there_or_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "nowhere.ckpt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(InputError, match="without a state_dict"):
        load_checkpoint(tmp_path / "list.pt")
