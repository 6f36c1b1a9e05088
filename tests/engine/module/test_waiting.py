"""No step of training waits for the device, but where something is logged, shown or saved.

The device is torch's ``meta``, whose tensors have no values: whoever reads one, copies it to main memory or
chooses rows by it fails. What goes to the device is counted beside.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from my_project.callbacks.confusion_matrix import ConfusionMatrix
from my_project.callbacks.error_vs_entropy import ErrorVsEntropy
from my_project.callbacks.top_k_images import TopKImages
from my_project.data.augment import Augment
from my_project.engine.augment import Augmentation, Mix, PhotoAugment, View
from my_project.engine.cli.additions import added_callbacks, first_callbacks
from my_project.engine.data.sampler import EpochBatches
from pytorch_lightning import Callback, LightningModule
from pytorch_lightning.callbacks import EMAWeightAveraging
from pytorch_lightning.strategies import SingleDeviceStrategy
from support import MakeFake, MakeNet, MakeTrainer
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

META = torch.device("meta")
EVERYTHING = PhotoAugment(
    rotation=9,
    shear=9,
    brightness=0.1,
    contrast=0.1,
    saturation=0.1,
    hue=0.1,
    grey=0.1,
    blur=0.1,
    erasing=0.1,
    policy="rand",
    size=(8, 8),  # half, so that it resamples at two levels
)
PLAIN = PhotoAugment()


class NoValues(SingleDeviceStrategy):
    """Trains on ``meta``; Lightning's own sums over processes stay on the CPU."""

    def model_to_device(self) -> None:
        assert self.model is not None
        self.model.to(META)

    def batch_to_device(self, batch: Any, device: Any = None, dataloader_idx: int = 0) -> Any:
        return super().batch_to_device(batch, META, dataloader_idx)

    def teardown(self) -> None:
        """Nothing: it would move the model back."""


class Sent(TorchDispatchMode):
    """Shapes of what was copied to the device."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in (torch.ops.aten._to_copy, torch.ops.aten.copy_) and result.is_meta:
            given = [value for value in args if isinstance(value, torch.Tensor)]
            self.shapes += [tuple(value.shape) for value in given if value.device.type == "cpu"]
        return result


class Made(TorchFunctionMode):
    """Refuses a tensor of numbers that is made on the device: it is a copy that waits."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.tensor, torch.as_tensor) and not isinstance(args[0], torch.Tensor):
            assert str((kwargs or {}).get("device")) != "meta", f"numbers {args} made on the device"
        return func(*args, **(kwargs or {}))


class EnoughError(Exception):
    """Ends training inside an epoch."""


class Watch(Callback):
    """Looks on from the end of the fourth step to that of the seventh, which ends the training."""

    def __init__(self) -> None:
        self.sent, self.modes = Sent(), ExitStack()

    def on_train_batch_end(self, trainer: Any, pl_module: LightningModule, *args: Any) -> None:
        assert pl_module.device == META
        if args[-1] == 3:
            self.modes.enter_context(Made())
            self.modes.enter_context(self.sent)
        if args[-1] == 6:
            raise EnoughError

    def on_exception(self, *args: Any) -> None:
        self.modes.close()


class Reads(Callback):
    """What a step must not do."""

    def on_train_batch_end(self, trainer: Any, pl_module: LightningModule, outputs: Any, *args: Any) -> None:
        float(outputs["loss"])


Fit = Callable[..., Sent]


@pytest.fixture
def fit(make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet, tmp_path: Path) -> Fit:
    """Trains for seven steps, none of them logged, with all that a command adds; what was sent in three."""

    def run(augment: Augmentation, *callbacks: Callback) -> Sent:
        watch = Watch()
        own = [*first_callbacks(), *callbacks, *added_callbacks(tmp_path, None, shows_bar=False), watch]
        trainer = make_trainer(strategy=NoValues("cpu"), log_every_n_steps=50, callbacks=own)
        with pytest.raises(EnoughError):
            trainer.fit(make_net(), make_fake(num_train=160, image_shape=(3, 16, 16), augment=augment))
        return watch.sent

    return run


@pytest.mark.parametrize("augment", [EVERYTHING, Augment(padding=1, flip=True, cutout=2)])
def test_no_step_waits_and_only_the_batch_goes_to_the_device(fit: Fit, augment: Augmentation) -> None:
    sent = fit(augment, TopKImages(k=2, every_n_train_steps=50))

    assert sorted(sent.shapes) == sorted([(16, 3, 16, 16), (16,), (16,)] * 3)


def test_a_step_that_reads_its_loss_is_found(fit: Fit) -> None:
    with pytest.raises(RuntimeError, match=r"item\(\) cannot be called on meta"):
        fit(PLAIN, Reads())


class WhereAverages(EMAWeightAveraging):
    """Looks where they lie; torch itself reads a counter of theirs in each step."""

    def on_train_batch_start(self, *args: Any) -> None:
        assert self._average_model is not None
        assert {weight.device for weight in self._average_model.parameters()} == {META}
        raise EnoughError


def test_averages_lie_where_the_model_is_trained(fit: Fit) -> None:
    assert fit(PLAIN, WhereAverages()).shapes == []


def test_images_in_the_devices_memory_are_fetched_seen_and_mixed_without_waiting(make_fake: MakeFake) -> None:
    data = make_fake(augment=EVERYTHING, mix=Mix(mixup=0.4, cutmix=1.0))
    data.setup("fit")
    data.view = View(stored=8, size=(6, 6))
    examples = data.train_set.to(META)
    data._sets["train"] = examples
    with Sent() as sent, Made():
        for positions in EpochBatches(len(examples), 16, shuffle=True, device=META):
            batch = data.change(examples[positions], epoch=0)
            assert batch.soft_target.is_meta
            seen = data.view(replace(batch, aspect=torch.ones(len(batch), device=META)))

    assert seen.image.shape[1:] == (3, 6, 6)
    assert sent.shapes == [(len(examples),)], "the order of an epoch, once"


class Enough(Callback):
    """Ends a validation after its third batch."""

    def on_validation_batch_end(self, *args: Any) -> None:
        if args[4] == 2:
            raise EnoughError


def test_no_step_of_validation_waits_either_with_all_pictures(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    pictures = [TopKImages(k=2), ConfusionMatrix(), ErrorVsEntropy()]
    trainer = make_trainer(strategy=NoValues("cpu"), callbacks=[*pictures, Enough()])
    with pytest.raises(EnoughError), Made():
        trainer.validate(make_net(), make_fake(num_train=160, val_split=80), verbose=False)

    assert all(picture.states for picture in pictures)
