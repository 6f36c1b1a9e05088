"""What a datamodule yields: a kind of input for each class."""

from dataclasses import dataclass

from torch import Tensor

from ..engine.contracts import DataDescription, Example


@dataclass(kw_only=True, eq=False)
class ImageExample(Example):
    """A batch of images.

    Attributes:
        image: ``(B, C, H, W)``; uint8 in ``[0, 255]`` as stored (the model normalises it), or float
            as the model expects it.
        aspect: ``(B,)`` float32 widths divided by heights of photos stored squeezed to a square.

    Raises:
        ValueError: ``image`` has another number of dimensions, or the batch sizes differ.

    Example:
        >>> import torch
        >>> batch = ImageExample(image=torch.zeros(3, 1, 8, 8), target=torch.tensor([4, 0, 7]))
        >>> len(batch), batch[1].target
        (3, tensor([0]))
    """

    image: Tensor
    aspect: Tensor | None = None

    def __post_init__(self) -> None:
        if self.image.ndim != 4:
            raise ValueError(
                f"image must be (B, C, H, W), got {tuple(self.image.shape)}; unsqueeze a single image"
            )
        super().__post_init__()

    def pictures(self) -> Tensor:
        """``(B, C, H, W)`` uint8; a float image is taken as pixels in ``[0, 1]``."""
        if not self.image.is_floating_point():
            return self.image
        return (self.image.nan_to_num() * 255).round().clamp(0, 255).byte()


@dataclass(kw_only=True, eq=False)
class VectorExample(Example):
    """A batch of vectors, such as rows of a table.

    Attributes:
        features: ``(B, F)`` float.
    """

    features: Tensor

    def texts(self, data: DataDescription) -> list[str]:
        """Each row as ``name value, ...``, by the names in ``data.extras["feature_names"]``."""
        names = data.extras.get("feature_names") or range(self.features.shape[1])
        rows = self.features.tolist()
        return [
            ", ".join(f"{name} {value:.4g}" for name, value in zip(names, row, strict=True)) for row in rows
        ]


@dataclass(kw_only=True, eq=False)
class TextExample(Example):
    """A batch of texts, padded to its longest.

    Attributes:
        input_ids: ``(B, T)`` int64 positions in the vocabulary.
        attention_mask: ``(B, T)`` bool, true where there is a token.
    """

    input_ids: Tensor
    attention_mask: Tensor

    def texts(self, data: DataDescription) -> list[str]:
        """The tokens of ``data.extras["vocabulary"]``, joined by ``data.extras["separator"]`` (none)."""
        vocabulary, separator = data.extras.get("vocabulary", []), data.extras.get("separator", "")
        names = dict(enumerate(vocabulary))
        rows = (ids[mask].tolist() for ids, mask in zip(self.input_ids, self.attention_mask, strict=True))
        return [separator.join(str(names.get(number, number)) for number in row) for row in rows]
