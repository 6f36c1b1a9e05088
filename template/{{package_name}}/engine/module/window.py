"""The losses since the last logged step: one host sync for many batches."""

from collections.abc import Mapping

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from ..errors import InputError


class LossWindow:
    """Keeps the loss of each batch on the device until the mean is taken."""

    def __init__(self) -> None:
        self._losses: list[Tensor] = []

    def __bool__(self) -> bool:
        """Whether there is a loss."""
        return bool(self._losses)

    def append(self, loss: Tensor) -> None:
        """Add the loss of a batch, ``()`` float."""
        self._losses.append(loss.detach())

    def take_mean(self) -> Tensor:
        """The mean of all losses, ``()`` float; the window is empty afterwards."""
        losses, self._losses = self._losses, []
        return torch.stack(losses).mean()

    def check_finite(self, *, step: int, batch_idx: int, epoch: int, advice: str) -> None:
        """Refuse a loss that is NaN or infinite.

        Args:
            step: Step of the last batch.
            batch_idx: Its number in the epoch.
            epoch: The epoch, from 0.
            advice: End of the message.

        Raises:
            InputError: A loss is not finite; the message names the step of the first.
        """
        losses = torch.stack(self._losses)
        if not (bad := (~losses.isfinite()).nonzero()[:1].tolist()):
            return
        position = bad[0][0]
        back = len(losses) - 1 - position
        raise InputError(
            f"expected a finite loss, got {losses[position].item()} at step {step - back}, "
            f"batch {batch_idx - back} of epoch {epoch}; {advice}"
        )

    def state(self) -> list[Tensor]:
        """The losses on the CPU."""
        return [loss.cpu() for loss in self._losses]

    def load_state(self, losses: list[Tensor], device: torch.device) -> None:
        """Restore what ``state`` returned."""
        self._losses = [loss.to(device) for loss in losses]


def advice(trainer: Trainer) -> str:
    """What to do about numbers that are not finite."""
    callback = trainer.checkpoint_callback
    last = callback.last_model_path if isinstance(callback, ModelCheckpoint) else ""
    what = "look for NaN in the data, lower the learning rate or clip gradients"
    return f"{what}; the last good checkpoint: {last or 'none yet'}"


def check_finite(weights: Mapping[str, Tensor], *, advice: str) -> None:
    """Refuse weights that are NaN or infinite.

    Raises:
        InputError: Some are; the message names the first tensor and ends with ``advice``.
    """
    for name, value in weights.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise InputError(f"expected finite weights to save, got NaN or infinity in {name}; {advice}")
