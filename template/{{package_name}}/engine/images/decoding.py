"""Lists of labelled image files, and their pixels, decoded once."""

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from ..contracts import OnError
from ..errors import InputError
from .cache import cached_images, state_of
from .finding import few
from .image_files import Levels, read_images, refuse, warn_guessed, warn_skipped

WHOLE = "all"  # the only set of a layout without splits
UNREADABLE, READ, GUESSED = range(3)
log = logging.getLogger(__name__)
_warn_skipped, _warn_guessed = rank_zero_only(warn_skipped), rank_zero_only(warn_guessed)


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How image files become pixels.

    Attributes:
        shape: ``(C, H, W)``.
        cache: Folder of the cache.
        on_error: Whether images that cannot be read are skipped or refused.
        levels: See ``read_image``.
        squeeze: Whether to read by ``read_squeezed`` and keep the aspect ratios.
    """

    shape: tuple[int, int, int]
    cache: Path
    on_error: OnError = "raise"
    levels: Levels | None = None
    squeeze: bool = False


class Decoded(NamedTuple):
    """Images of a listing.

    Attributes:
        images: ``(N, C, H, W)`` uint8.
        rows: ``(M,)`` int64 rows of the images that could be read.
        aspect: ``(N,)`` float32 widths divided by heights; ``None`` if the images were not squeezed.
    """

    images: Tensor
    rows: Tensor
    aspect: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Labelled image files.

    Attributes:
        name: Name of the set.
        where: Folder of the images, or file that lists them.
        targets: ``(N,)`` int64 class indices, or ``(N, K)`` float32 rows of labels.
        paths: The files; empty if all pixels are in one file.
    """

    name: str
    where: Path
    targets: Tensor
    paths: Sequence[Path] = field(default_factory=list)

    @cached_property
    def states(self) -> str:
        """A hash of the files' paths, relative to ``where``, and of their states.

        A state is the size, ``mtime`` and ``ctime``, the time of any change, which no program can set back.
        The inode is left out: some network disks give a new one at each mount.
        """
        digest, folder = hashlib.sha256(), os.fspath(self.where)
        for path in self.paths:
            digest.update(os.fsencode(os.path.relpath(path, folder)) + state_of(path))
        return digest.hexdigest()

    def fingerprint(self, decoding: Decoding) -> str:
        """A hash of all that decides the pixels: the files with their states, and how they are read."""
        how = ("v4", decoding.shape, decoding.on_error, decoding.levels, self.states)
        how += ("squeezed",) if decoding.squeeze else ()
        return hashlib.sha256(repr(how).encode()).hexdigest()[:16]

    def decode(self, decoding: Decoding) -> Decoded:
        """The images, decoded the first time and cached.

        Raises:
            InputError: An image cannot be read, and ``on_error`` is ``raise``.
        """
        size, (_, height, width) = len(self.paths), decoding.shape
        shape = (size, *decoding.shape)
        option = "--data.init_args"
        # After the pixels comes one byte per image: unreadable, read, or read with guessed levels; after
        # these come the aspects.
        num_pixels, num_aspects = torch.Size(shape).numel(), 4 * size * decoding.squeeze

        def fill(content: Tensor) -> None:
            log.info(f"decoding {size:,} images of {self.where}, once")
            guessed, aspects = set[Path](), torch.ones(size) if decoding.squeeze else None
            pixels = content[:num_pixels].view(shape)
            unreadable = read_images(self.paths, pixels, decoding.levels, guessed, aspects)
            if decoding.on_error == "raise":
                refuse(unreadable, size, f"{option}.on_error=skip")
            states = [
                UNREADABLE if path in unreadable else GUESSED if path in guessed else READ
                for path in self.paths
            ]
            content[num_pixels : num_pixels + size] = torch.tensor(states)
            if aspects is not None:
                content[num_pixels + size :] = aspects.view(torch.uint8)

        kind = f"{self.name}-squeezed" if decoding.squeeze else self.name
        name = f"{kind}-{height}x{width}-{self.fingerprint(decoding)}"
        content = cached_images(decoding.cache, name, (num_pixels + size + num_aspects,), fill)
        pixels, states, aspects = content.split([num_pixels, size, num_aspects])
        skipped = [self.paths[row] for row in (states == UNREADABLE).nonzero().flatten().tolist()]
        _warn_skipped(skipped, size, decoding.cache / f"{self.name}-skipped.txt")
        guessed = [self.paths[row] for row in (states == GUESSED).nonzero().flatten().tolist()]
        _warn_guessed(guessed, size, f"{option}.levels='[0, 4095]', say,")
        rows = states.nonzero().flatten()
        known = aspects.clone().view(torch.float32) if decoding.squeeze else None
        return Decoded(pixels.view(shape), rows, known)


def check_targets(listing: Listing, rows: Tensor, class_names: Sequence[str], *, is_train: bool) -> None:
    """Refuse a training set that lacks readable images of a class; for other sets, or labels, log it.

    Raises:
        InputError: A class of the training set has no image that can be read.
    """
    before, after = (_count(targets, class_names) for targets in (listing.targets, listing.targets[rows]))
    missing = [number for number, count in enumerate(after) if not count]
    if not missing:
        return
    where = listing.where
    if is_train and listing.targets.ndim == 1:
        name, count = class_names[missing[0]], before[missing[0]]
        place = f"images in {where / name}" if where.is_dir() else f"images of {name!r} in {where}"
        got = f"none of {count} that can be read; repair them" if count else "none; add some"
        raise InputError(f"expected {place}, got {got} or remove the class")
    _say(f"{listing.name}, {where}, has no images of: {few([class_names[number] for number in missing])}")


def _count(targets: Tensor, class_names: Sequence[str]) -> list[int]:
    """Number of images of each class or label."""
    counts = targets.bincount(minlength=len(class_names)) if targets.ndim == 1 else targets.sum(dim=0)
    return [int(count) for count in counts.tolist()]


_say = rank_zero_only(log.warning)
