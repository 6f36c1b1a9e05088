"""The engine's half of a model: a subclass says how to predict and what the loss is."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import nn

from ..contracts import DataDescription, Example, data_of
from ..foreign import batches_per_log, batches_trained, datamodule_of, is_attached
from ..loggers import first_step_of
from ..metrics import MetricPlan, SplitMetrics, num_unrepeated
from ..processes import gather_objects, share_buffers
from ..schedules import check_lengths
from .checks import compute_loss, predict
from .hyperparameters import Remembered, update
from .numbers import Numbers
from .optimizers import configure, note_axes, rates, steps_of
from .param_groups import GroupOptions, ParamGroups
from .parts import Part, PartSteps, configure_parts
from .window import LossWindow, advice, check_finite


class Module(Remembered):
    """Trains, validates and tests itself: a step is ``forward``, then ``compute_loss``, then metrics.

    Checkpoints hold everything a resumed run needs, and those arguments of the class that are plain values.

    Args:
        metrics: The metrics of each split.
        data: What is known of the data.
        optimizer: Makes the optimizer from the parameters; ``None`` is AdamW with torch's defaults.
        lr_scheduler: Makes the schedule, or several in order; ``None`` keeps the learning rate.
        param_groups: Options of the optimizer for parameters whose names match a pattern.
        optimizers: Optimizers by part of the model, in place of the three above.
        use_compile: Compile the forward pass.
    """

    def __init__(
        self,
        metrics: MetricPlan,
        data: DataDescription | None = None,
        *,
        optimizer: OptimizerCallable | None = None,
        lr_scheduler: tuple[LRSchedulerCallable, ...] | LRSchedulerCallable | None = None,
        param_groups: GroupOptions | None = None,
        optimizers: Mapping[str, Part] | None = None,
        use_compile: bool = False,
    ) -> None:
        super().__init__()
        self.data = data or DataDescription()
        self.optimizer, self.lr_scheduler, self.param_groups = optimizer, lr_scheduler, param_groups
        self.parts, self.use_compile = dict(optimizers or {}), use_compile
        self.automatic_optimization = not self.parts
        self._steps = PartSteps(self.parts)
        self.numbers = Numbers(metrics)
        self._window, self._logged_step = LossWindow(), 0

    def setup(self, stage: str) -> None:
        note_axes(self.parameters())
        self._steps, data = PartSteps(self.parts), data_of(self.trainer)  # of this run
        self.data = update(self.data, data.describe())
        if stage == "fit" and (statistics := data.statistics()):
            self.use_statistics(*statistics)
        self.numbers.val_splits.name_sets(data.val_sets)
        self.numbers.test_splits.name_sets(data.test_sets if stage == "test" else {})
        self.numbers.begin(self.data, self.device)
        if self.use_compile and stage == "fit":
            self.compile()

    def on_train_start(self) -> None:
        self._window.load_state(self._window.state(), self.device)  # to the device, after a resume
        self._logged_step = batches_trained(self.trainer)
        own = [(part.lr_scheduler, part.steps_of(steps_of(self))) for part in self.parts.values()]
        check_lengths(self, own or [(self.lr_scheduler, steps_of(self))])

    def training_step(self, batch: Example, batch_idx: int) -> dict[str, Any]:
        batch, prediction = predict(self, given := batch)
        self.numbers.see(prediction, batch.target, self.data, self.device)
        loss = compute_loss(self, batch, prediction)
        self.numbers.train_split.append(batch, prediction, loss)
        total = loss.total
        self._window.append(total)
        if self.parts:
            self._steps.take(self, loss, lambda: compute_loss(self, *predict(self, given)), batch.source)
        return {"loss": total, "prediction": prediction.detach(), "example": batch}

    def on_train_batch_end(self, outputs: Any, batch: Example, batch_idx: int) -> None:
        every, step = batches_per_log(self.trainer), batches_trained(self.trainer)
        is_due = every and (step % every == 0 or self.trainer.should_stop)  # Lightning logs the last one, too
        if is_due and step != self._logged_step:  # several batches may make one step
            self._logged_step = step
            self._log_window(batch_idx)

    def on_train_epoch_end(self) -> None:
        self._log_window(self.trainer.fit_loop.batch_idx)
        self._log_split(self.numbers.train_split)

    def on_validation_epoch_start(self) -> None:
        if self._window:  # a checkpoint may follow
            self._check_window(self.trainer.fit_loop.batch_idx)
        share_buffers(self)
        self.numbers.val_splits.reset()

    def validation_step(self, batch: Example, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        num_own = num_unrepeated(self.trainer.val_dataloaders, batch_idx, len(batch), dataloader_idx)
        return self.numbers.evaluate(self, batch, num_own, self.numbers.val_splits.of_loader(dataloader_idx))

    def on_validation_epoch_end(self) -> None:
        for split in self.numbers.val_splits.all:
            self._log_split(split)

    def test_step(self, batch: Example, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        num_own = num_unrepeated(self.trainer.test_dataloaders, batch_idx, len(batch), dataloader_idx)
        return self.numbers.evaluate(self, batch, num_own, self.numbers.test_splits.of_loader(dataloader_idx))

    def on_test_epoch_end(self) -> None:
        for split in self.numbers.test_splits.all:
            self._log_split(split)

    def named_parts(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Parameters by the names that ``optimizers`` uses; a shared one has several."""
        return self.named_parameters(remove_duplicate=False)

    def trained_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters for the optimizer; frozen ones need not be left out."""
        return self.parameters()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        if self.parts:
            named = list(self.named_parts())
            return cast(OptimizerLRScheduler, configure_parts(named, self.parts, steps_of(self)))
        parameters, make = self.trained_parameters(), self.optimizer or torch.optim.AdamW
        groups = ParamGroups(self, self.param_groups, self.scaled_layers())
        every = self.trainer.check_val_every_n_epoch if is_attached(self) else None
        made = configure(make, self.lr_scheduler, parameters, steps_of(self), groups, every)
        return cast(OptimizerLRScheduler, made)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        check_finite(checkpoint["state_dict"], advice=advice(self.trainer))
        checkpoint |= self.description(datamodule_of(self.trainer))
        checkpoint["step"] = first_step_of(self.trainer) + batches_trained(self.trainer)
        progress = {"window": self._window.state(), "metrics": self.numbers.train_split.state()}
        progress["parts"] = self._steps.state(self)
        checkpoint["progress"] = gather_objects(progress)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        ranks = checkpoint.get("progress", [])
        if is_attached(self) and self.trainer.state.fn == "fit" and len(ranks) == self.trainer.world_size:
            self._window.load_state(ranks[self.trainer.global_rank]["window"], self.device)
            self.numbers.restore(ranks[self.trainer.global_rank]["metrics"], self.device)
            self._steps.load_state(ranks[self.trainer.global_rank]["parts"], self.device)

    def _log_split(self, split: SplitMetrics) -> None:
        # The values are those of all ranks already; sync_dist only tells Lightning so.
        self.log_dict(split.numbers(), sync_dist=True)
        split.reset()

    def _log_window(self, batch_idx: int) -> None:
        """Log the mean of the losses since the last call: the only host sync of training."""
        if self._window:
            self._check_window(batch_idx)
            loss = self._window.take_mean()
            self.numbers.train_split.flush()
            self.log("train/loss_step", loss, prog_bar=True, sync_dist=True)
            self.log_dict(rates(self.trainer.optimizers, list(self.parts)), sync_dist=True)
            self.log_dict(self._steps.norms, sync_dist=True)

    def _check_window(self, batch_idx: int) -> None:
        place = {"step": batches_trained(self.trainer), "epoch": self.trainer.current_epoch}
        self._window.check_finite(**place, batch_idx=batch_idx, advice=advice(self.trainer))
