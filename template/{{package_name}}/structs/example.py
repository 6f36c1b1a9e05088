"""What a datamodule yields."""

from dataclasses import dataclass

from torch import Tensor

from ..engine.contracts import AnyExample


@dataclass(kw_only=True, eq=False)
class Example(AnyExample):
    """A batch of images with what is known about them.

    Attributes:
        image: ``(B, C, H, W)``; uint8 in ``[0, 255]`` as stored (the model normalises it), or float
            as the model wants it.
        target: ``(B,)`` int64 class indices, or ``None`` if unlabelled.
        index: ``(B,)`` int64 positions in the dataset, or ``None``. Augmentation draws from it, and
            pictures name it.

    Raises:
        ValueError: A field has the wrong number of dimensions, or the batch sizes differ.

    Example:
        >>> import torch
        >>> batch = Example(image=torch.zeros(3, 1, 8, 8), target=torch.tensor([4, 0, 7]))
        >>> len(batch), batch[1].target
        (3, tensor([0]))
    """

    image: Tensor

    def __post_init__(self) -> None:
        if self.image.ndim != 4:
            raise ValueError(
                f"image must be (B, C, H, W), got {tuple(self.image.shape)}; unsqueeze a single image"
            )
        for name in ("target", "index"):
            value = self.tensors.get(name)
            if value is not None and value.ndim != 1:
                raise ValueError(
                    f"{name} must be (B,), got {tuple(value.shape)}; give class indices, not one-hot rows"
                )
        super().__post_init__()
