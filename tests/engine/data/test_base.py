import contextlib
from typing import Any

import pytest
import torch
from my_project.data import Augment
from my_project.engine.data.examples import ExampleSet
from my_project.engine.data.loaders import move_if_small
from my_project.engine.errors import InputError
from my_project.model.resnet import ResNet
from pytorch_lightning import Callback, LightningModule, Trainer
from support import MakeFake, MakeNet, MakeTrainer
from torch.utils._python_dispatch import TorchDispatchMode

AUGMENT = Augment(padding=1, flip=True)


class NoCopies(TorchDispatchMode):
    """Refuses what makes a tensor of a list, or brings one to another device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func.overloadpacket.__name__ not in ("_to_copy", "copy_", "lift_fresh"), func
        return func(*args, **(kwargs or {}))


class KilledError(Exception):
    """Ends a run as a crash would."""


class Watch(Callback):
    """Keeps what training sees; at ``kill_at`` steps it saves a checkpoint and ends the run."""

    def __init__(self, kill_at: int | None = None) -> None:
        self.seen: list[tuple[int, int, list[int], float]] = []
        self.kill_at = kill_at

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        pixels = batch.image.double().sum().item()
        self.seen.append((trainer.current_epoch, batch_idx, batch.index.tolist(), pixels))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self.kill_at:
            trainer.save_checkpoint("mid.ckpt")
            raise KilledError


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("kill_at", [1, 3, 5])
def test_a_run_resumed_inside_an_epoch_sees_the_remaining_batches_and_ends_with_the_same_weights(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet, kill_at: int, num_workers: int
) -> None:
    def fit(kill_at: int | None = None, ckpt_path: str | None = None) -> tuple[Watch, ResNet]:
        torch.manual_seed(0)
        watch, model = Watch(kill_at), make_net()
        data = make_fake(val_split=0.2, augment=AUGMENT, num_workers=num_workers)
        trainer = make_trainer(max_epochs=2, callbacks=[watch])
        with contextlib.suppress(KilledError):
            trainer.fit(model, data, ckpt_path=ckpt_path, weights_only=True)
        return watch, model

    whole, expected = fit()
    before, _ = fit(kill_at=kill_at)
    after, resumed = fit(ckpt_path="mid.ckpt")

    assert len(whole.seen) == 6
    assert before.seen + after.seen == whole.seen
    torch.testing.assert_close(resumed.state_dict(), expected.state_dict(), rtol=0, atol=0)


def test_resuming_with_another_batch_size_is_refused(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    with contextlib.suppress(KilledError):
        make_trainer(callbacks=[Watch(kill_at=1)]).fit(make_net(), make_fake())

    with pytest.raises(InputError, match="expected 4 batches an epoch as in the interrupted run, got 7"):
        make_trainer().fit(make_net(), make_fake(batch_size=8), ckpt_path="mid.ckpt", weights_only=True)


def test_each_epoch_has_an_order_and_an_augmentation_of_its_own(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    watch = Watch()
    make_trainer(max_epochs=2, callbacks=[watch]).fit(make_net(), make_fake(augment=AUGMENT))

    first, second = watch.seen[:4], watch.seen[4:]
    assert [index for _, _, index, _ in first] != [index for _, _, index, _ in second]
    assert sum(pixels for *_, pixels in first) != sum(pixels for *_, pixels in second)


def test_overfitting_takes_the_same_batch_each_epoch(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    watch = Watch()
    make_trainer(max_epochs=3, overfit_batches=1, callbacks=[watch]).fit(make_net(), make_fake())

    assert len({tuple(index) for _, _, index, _ in watch.seen}) == 1
    assert len(watch.seen) == 3


def test_only_training_images_are_augmented(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    data = make_fake(augment=Augment(cutout=64))
    stored = data.load("train")["train"]
    seen: list[int] = []

    class Look(Callback):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            assert not torch.equal(batch.image, stored[batch.index.tolist()].image)
            seen.append(-1)

        def on_validation_batch_start(
            self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
        ) -> None:
            torch.testing.assert_close(batch.image, stored[batch.index.tolist()].image)
            seen.extend(batch.index.tolist())

    make_trainer(limit_train_batches=1, callbacks=[Look()]).fit(make_net(), data)

    assert seen == [-1, *data._sets["val/val"].rows.tolist()]


def test_statistics_are_those_of_all_training_pixels(make_fake: MakeFake) -> None:
    data = make_fake(val_split=0.25)
    data.setup("fit")
    pixels = data._sets["train"][range(45)].image.double() / 255

    mean, std = data.statistics()

    torch.testing.assert_close(mean, pixels.mean(dim=(0, 2, 3)).float(), rtol=0, atol=1e-5)
    torch.testing.assert_close(std, pixels.var(dim=(0, 2, 3), correction=0).sqrt().float(), rtol=0, atol=1e-5)
    torch.testing.assert_close(make_fake(normalize=False).statistics()[1], torch.ones(3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"demo_only": ["odd"]}, r"demo_only to name sets of \['val'\], got \['odd'\]"),
        ({"demo_only": ["val"]}, "a validation set that counts"),
        ({"val_split": {"a": 0.6, "b": 0.6}}, "at least one example in 'train'"),
        ({"batch_size": 0}, "batch_size of at least 1, got 0"),
    ],
)
def test_refuses(make_fake: MakeFake, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_fake(**options).setup("fit")


def test_on_a_device_no_batch_takes_anything_there(make_trainer: MakeTrainer, make_fake: MakeFake) -> None:
    """Copies from the host would hold it up at each step; ``meta`` has no numbers to wait for, either."""
    data = make_fake()
    data.trainer = make_trainer()
    data.setup("fit")
    data._sets = {name: examples.to(torch.device("meta")) for name, examples in data._sets.items()}
    for loader in (data.train_dataloader(), *data.val_dataloader()):
        for rows in loader.sampler:
            with NoCopies():
                assert loader.dataset[rows].image.device.type == "meta"


def test_a_part_of_a_set_is_moved_if_that_part_is_small(
    make_fake: MakeFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_fake()
    data.setup("fit")
    whole = data.sets_of("train")["train"]
    part = whole.subset(torch.tensor([3, 1]))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (4 * part.nbytes, 0))
    monkeypatch.setattr(ExampleSet, "to", lambda self, device: "moved")

    assert part.nbytes == 2 * whole.nbytes // len(whole)
    assert move_if_small(part, torch.device("cuda")) == "moved"
    assert move_if_small(whole, torch.device("cuda")) is whole
