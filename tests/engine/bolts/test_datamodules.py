import contextlib
import sys
from collections.abc import Callable
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import pytorch_lightning
import torch
from my_project.data.fake import Fake
from my_project.engine.bolts.datamodules import MOVED, TYPES, BoltsData, import_bolts, lightning_1
from my_project.engine.errors import InputError
from my_project.model.resnet import ResNet
from pytorch_lightning import LightningDataModule, Trainer, strategies
from torch.utils.data import DataLoader, Subset

MEAN, STD = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.25, 0.3])


class Images(list):
    classes = ("ant", "bee", "cat", "dog")


class Vision(LightningDataModule):
    """Has what a VisionDataModule of lightning-bolts has, and as little."""

    dims = (3, 8, 12)
    num_classes = 4
    data_dir = "nowhere"
    val_transforms = None
    pin_memory = True

    def prepare_data(self) -> None:
        self.images = Images((torch.rand(3, 8, 12), label % 4) for label in range(20))

    def setup(self, stage: str) -> None:
        if stage == "fit":
            self.dataset_train = Subset(self.images, range(12))  # type: ignore[arg-type]
            self.dataset_val = Subset(self.images, range(12, 20))  # type: ignore[arg-type]
        if stage == "test":
            self.dataset_test = self.images

    def default_transforms(self) -> Callable[..., torch.Tensor]:
        def normalize(image: Any) -> torch.Tensor:
            pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8) / 255
            assert image.size == (12, 8)
            return (pixels.view(8, 12, 3).permute(2, 0, 1) - MEAN[:, None, None]) / STD[:, None, None]

        return normalize

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.dataset_train, batch_size=5)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.dataset_val, batch_size=5)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.dataset_test, batch_size=5)  # type: ignore[arg-type]


def test_each_stage_runs(make_trainer: Callable[..., Trainer], make_net: Callable[..., ResNet]) -> None:
    model = make_net()

    make_trainer().fit(model, BoltsData(Vision()))
    (validated,) = make_trainer().validate(model, BoltsData(Vision()), verbose=False)
    (tested,) = make_trainer().test(model, BoltsData(Vision()), verbose=False)
    predictions = make_trainer().predict(model, BoltsData(Vision()))

    assert 0 <= validated["val/accuracy"] <= 1
    assert 0 <= tested["test/accuracy"] <= 1
    assert sum(map(len, predictions or [])) == 20


def test_model_learns_what_the_data_is(
    make_trainer: Callable[..., Trainer], make_net: Callable[..., ResNet]
) -> None:
    model, data = make_net(), BoltsData(Vision())

    make_trainer(fast_dev_run=1).fit(model, data)

    assert (data.num_classes, data.in_channels) == (4, 3)
    assert model.data.class_names == ("ant", "bee", "cat", "dog")
    assert model.data.shapes["image"] == (3, 8, 12)
    torch.testing.assert_close(model.normalize.mean, MEAN)
    torch.testing.assert_close(model.normalize.std, STD)


def test_classes_without_names_are_called_by_their_index() -> None:
    assert BoltsData(Vision()).class_names == ["0", "1", "2", "3"]


def test_data_that_cannot_be_had_is_an_error_of_the_user() -> None:
    class Absent(Vision):
        def prepare_data(self) -> None:
            raise RuntimeError("no network")

    with pytest.raises(InputError, match=r"expected Absent to find .* in nowhere, got: no network"):
        BoltsData(Absent()).prepare_data()


def test_other_datamodules_need_no_wrapper() -> None:
    with pytest.raises(InputError, match="num_classes and dims, got Fake"):
        BoltsData(Fake())


def names_in(*modules: ModuleType) -> list[set[str]]:
    return [set(vars(module)) for module in modules]


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_lent_for_the_import_is_taken_away_again(fails: bool) -> None:
    before = names_in(np, pytorch_lightning.utilities, strategies)
    modules = set(sys.modules)

    with contextlib.suppress(ImportError), lightning_1():
        assert set(MOVED) <= set(sys.modules)
        assert set(TYPES) <= set(vars(np))
        assert "DataParallelStrategy" in vars(strategies)
        if fails:
            raise ImportError

    assert names_in(np, pytorch_lightning.utilities, strategies) == before
    assert not set(MOVED) & set(sys.modules)
    assert modules <= set(sys.modules)


def test_what_is_there_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = type("DataParallelStrategy", (), {})
    monkeypatch.setitem(vars(strategies), "DataParallelStrategy", theirs)

    with lightning_1():
        assert vars(strategies)["DataParallelStrategy"] is theirs

    assert vars(strategies)["DataParallelStrategy"] is theirs


@pytest.mark.skipif(find_spec("pl_bolts") is not None, reason="lightning-bolts is installed")
def test_missing_bolts_is_an_error_with_the_remedy() -> None:
    with pytest.raises(InputError, match="run make init EXTRAS=dev,bolts"):
        import_bolts()


@pytest.mark.skipif(
    find_spec("pl_bolts") is None,
    reason="needs lightning-bolts: in build/demo, make init EXTRAS=dev,sweep,bolts",
)
@pytest.mark.filterwarnings("ignore")  # those of bolts
def test_bolts_imports_with_todays_lightning_and_leaves_no_name_behind() -> None:
    before = names_in(np, pytorch_lightning.utilities, strategies)

    import_bolts(["pl_bolts.models.detection.YOLO", "pl_bolts.no_such.Thing"])

    assert names_in(np, pytorch_lightning.utilities, strategies) == before
    assert "pl_bolts.models.detection" in sys.modules
    from pl_bolts.datamodules import CIFAR10DataModule  # pyright: ignore[reportMissingImports]

    data = BoltsData(CIFAR10DataModule(normalize=True))

    assert data.describe().shapes["image"] == (3, 32, 32)
    torch.testing.assert_close(data.statistics()[0] * 255, torch.tensor([125.3, 123.0, 113.9]))
    torch.testing.assert_close(data.statistics()[1] * 255, torch.tensor([63.0, 62.1, 66.7]))
