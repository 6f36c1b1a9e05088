"""Images with a mask each: the pairs, decoded to bytes of one shape."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..contracts import IGNORED
from ..data.examples import E, ExampleSet
from ..data.split import OF_IMAGES
from ..errors import InputError
from ..images.finding import find_images
from ..images.image_files import read_images, upright_size
from .coding import UNKNOWN, Coding
from .files import UnreadableError, parallel, read_values


class MaskSet(ExampleSet[E]):
    """Examples whose targets are stored as bytes, an eighth of the memory; batches have int64 classes."""

    def __getitem__(self, positions: Sequence[int] | Tensor) -> E:
        batch = super().__getitem__(positions)
        assert batch.target is not None
        target = batch.target.long()
        return replace(batch, target=target.masked_fill(target == UNKNOWN, IGNORED))


def find_pairs(
    root: Path, split: str, images: str, masks: str
) -> tuple[Path, list[tuple[Path, Path]]] | None:
    """The folder of a split's images, and its images with their masks; ``None`` without such a folder.

    ``root`` has ``<split>/<images>/`` or ``<images>/<split>/``, or is itself the training part. Images and
    masks are matched by their path in these folders, without the suffix.

    Raises:
        InputError: An image has no mask, a mask has no image, or two files have the same name.
    """
    for name in OF_IMAGES[split]:
        for image_dir, mask_dir in (
            (root / name / images, root / name / masks),
            (root / images / name, root / masks / name),
        ):
            if image_dir.is_dir():
                return image_dir, _pair(image_dir, mask_dir)
    below = root / images
    has_splits = any((below / name).is_dir() for names in OF_IMAGES.values() for name in names)
    if split == "train" and below.is_dir() and not has_splits:
        return below, _pair(below, root / masks)
    return None


def _pair(image_dir: Path, mask_dir: Path) -> list[tuple[Path, Path]]:
    images, masks = _by_name(image_dir), _by_name(mask_dir)
    alone = [f"the image {images[name]} has no mask" for name in sorted(images.keys() - masks.keys())]
    alone += [f"the mask {masks[name]} has no image" for name in sorted(masks.keys() - images.keys())]
    if alone:
        more = f" and {len(alone) - 3} more" if len(alone) > 3 else ""
        raise InputError(
            f"expected a mask in {mask_dir} for each image in {image_dir}, got {len(alone)} alone: "
            f"{'; '.join(alone[:3])}{more}; give both one name"
        )
    if not images:
        raise InputError(f"expected images in {image_dir}, got none; add some or remove the folder")
    return [(path, masks[name]) for name, path in sorted(images.items())]


def _by_name(folder: Path) -> dict[str, Path]:
    """Images by their path below ``folder``, without the suffix."""
    found: dict[str, Path] = {}
    for path in find_images(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise InputError(f"expected one file of each name, got {found[name]} and {path}; rename one")
        found[name] = path
    return found


def read_pairs(
    pairs: Sequence[tuple[Path, Path]], coding: Coding, images: Tensor, masks: Tensor
) -> dict[Path, InputError]:
    """Decode into ``images`` ``(N, C, H, W)`` and ``masks`` ``(N, H, W)``, both uint8.

    Images are resampled smoothly, masks by their nearest pixel, with the same crop.

    Returns:
        The images that cannot be read, or whose masks cannot, and why; do not use their rows.

    Raises:
        InputError: A mask holds a value that is no class, or has another size than its image.
    """
    unreadable = read_images([image for image, _ in pairs], images)
    height, width = masks.shape[1:]

    def read(row: int) -> InputError | None:
        image, mask = pairs[row]
        masks[row] = UNKNOWN
        if image in unreadable:
            return None
        try:
            values = read_values(mask, coding.in_colour)
        except UnreadableError as error:
            return error
        if values.shape[::-1] != (size := upright_size(image)):
            got = f"{values.shape[1]} x {values.shape[0]}, and {size[0]} x {size[1]} of {image}"
            raise InputError(f"expected {mask} in the size of its image, got {got} pixels")
        fitted = ImageOps.fit(Image.fromarray(values), (width, height), Image.Resampling.NEAREST)
        masks[row] = torch.from_numpy(coding.encode(np.asarray(fitted), mask))
        return None

    errors = zip((image for image, _ in pairs), parallel(read, range(len(pairs))), strict=True)
    return unreadable | {image: error for image, error in errors if error}
