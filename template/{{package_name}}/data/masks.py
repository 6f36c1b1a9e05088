"""Your own images, each with a mask that gives the class of each pixel."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from ..engine.data import ExampleSet
from ..engine.errors import InputError
from ..engine.images.cache import cached_images
from ..engine.images.image_files import OnError, refuse
from ..engine.masks import UNKNOWN, MaskSet, find_coding, find_pairs, fingerprint, read_pairs
from ..structs import DataDescription, ImageExample
from .images import ImageData

Value = int | str | list[int]  # a grey level, a position in the palette, or a colour
log = logging.getLogger(__name__)


@dataclass(kw_only=True, eq=False)
class MaskedImage(ImageExample):
    """Images whose target is a mask: ``(B, H, W)`` int64 classes, -100 where a pixel is ignored."""

    spatial = ("target",)


class Masks(ImageData):
    """Images in ``images/`` and their masks, of the same names, in ``masks/``.

    Both lie in ``<data_dir>/<split>/``, or have a folder for each split (``images/train/``,
    ``masks/train/``), or have none and are the training part. The splits are ``train``, ``val`` and
    ``test``; without ``val`` a share of the training images is held out.

    A mask is a lossless image (PNG, TIFF) of its image's size: grey levels, a palette, whose positions
    count, or colours. Both are scaled to cover ``image_size`` and cropped at the centre, the mask by
    nearest pixels, once, into ``<data_dir>/.cache``: C + 1 bytes for each pixel of ``image_size``. They are
    reread when a file was added, removed or changed; two sizes stay.

    Args:
        data_dir: The folder.
        image_size: Height and width in pixels.
        classes: Name to its value in the masks: a grey level, a position in the palette, or a colour as
            ``[r, g, b]`` or ``"#rrggbb"``; ``None`` for all values that the masks hold.
        ignore_index: Value, or several, of pixels that count in no loss, metric or picture, such as 255.
        images: Name of the folders of images.
        masks: Name of the folders of masks.
        in_grey: Read the images in grey.
        on_error: ``skip`` leaves out the pairs that cannot be read and says so; ``raise`` refuses them.
        **kwargs: See ``ImageData``.

    Raises:
        InputError: There are no images, one has no mask, a mask no image, or a mask a value that is no class.
    """

    def __init__(
        self,
        data_dir: str = "data",
        image_size: int | tuple[int, int] = 128,
        classes: dict[str, Value] | None = None,
        ignore_index: int | str | list[Value] | None = None,
        images: str = "images",
        masks: str = "masks",
        in_grey: bool = False,
        on_error: OnError = "raise",
        **kwargs: Any,
    ) -> None:
        super().__init__(data_dir, **kwargs)
        self.root, self.folders = Path(data_dir), (images, masks)
        self.on_error: OnError = on_error
        if (found := find_pairs(self.root, "train", *self.folders)) is None:
            train = self.root / "train"
            raise InputError(
                f"expected {train / images} and {train / masks}, or {self.root / images} and "
                f"{self.root / masks}, got none; set --data.init_args.data_dir"
            )
        ignored = ignore_index if isinstance(ignore_index, list) else [ignore_index]
        ignored = [value for value in ignored if value is not None]
        paths = [mask for _, mask in found[1]]
        self.coding = find_coding(paths, classes, ignored, self.root / ".cache")
        self.class_names = list(self.coding.names)
        size = (image_size, image_size) if isinstance(image_size, int) else image_size
        self.image_shape = (1 if in_grey else 3, *size)

    def prepare_data(self) -> None:
        for split in ("train", "val", "test"):
            self.sets_of(split)

    def describe(self) -> DataDescription:
        extras: dict[str, Any] = {"mask_values": self.coding.written, "mask_colours": self.coding.colours}
        extras["mask_unseen"] = self.coding.unseen
        return super().describe().updated(DataDescription(extras=extras))

    def load(self, split: str) -> dict[str, ExampleSet[MaskedImage]]:
        found = find_pairs(self.root, split, *self.folders)
        if found is None:
            return {}
        folder, pairs = found
        images, masks = self._decode(split, folder, pairs)
        is_known = (masks != UNKNOWN).flatten(1).any(dim=1)
        _say_left_out([pairs[row][1] for row in (~is_known).nonzero().flatten().tolist()], len(pairs))
        return {split: mask_set(images, masks, is_known.nonzero().flatten())}

    def _decode(self, split: str, folder: Path, pairs: Sequence[tuple[Path, Path]]) -> tuple[Tensor, Tensor]:
        """``(N, C, H, W)`` and ``(N, H, W)``, both uint8."""
        size, (channels, height, width) = len(pairs), self.image_shape

        def parts(content: Tensor) -> tuple[Tensor, Tensor]:
            return content[:, :channels], content[:, channels]

        def fill(content: Tensor) -> None:
            log.info(f"decoding {size} images of {folder} and their masks, once")
            unreadable = read_pairs(pairs, self.coding, *parts(content))
            if self.on_error == "raise":
                refuse(unreadable, size, "--data.init_args.on_error=skip")

        files = [path for pair in pairs for path in pair]
        name = f"{split}-{height}x{width}-{fingerprint(files, self.image_shape, self.coding, self.on_error)}"
        shape = (size, channels + 1, height, width)
        return parts(cached_images(self.root / ".cache", name, shape, fill))


def mask_set(images: Tensor, masks: Tensor, rows: Tensor | None = None) -> ExampleSet[MaskedImage]:
    """A set for ``load``.

    Args:
        images: ``(N, C, H, W)`` uint8.
        masks: ``(N, H, W)`` uint8 class indices; 255 is ignored.
        rows: ``(M,)`` int64, those that belong to the set; ``None`` for all.
    """
    return MaskSet(MaskedImage(image=images, target=masks), rows)


@rank_zero_only
def _say_left_out(masks: list[Path], size: int) -> None:
    if masks:
        names = ", ".join(map(str, masks[:3])) + (", ..." if len(masks) > 3 else "")
        log.warning(f"left out {len(masks)} of {size} pairs, unreadable or ignored in each pixel: {names}")
