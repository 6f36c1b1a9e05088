"""Your own photos: a folder for each class, a table of files and labels, or arrays."""

from pathlib import Path
from typing import Any, Literal

from ..engine.augment import View
from ..engine.contracts import OnError
from ..engine.data import ExampleSet, split_rows
from ..engine.errors import InputError
from ..engine.images.copies import warn_leaks
from ..engine.images.decoding import WHOLE, Decoding, Listing, check_targets
from ..engine.images.image_files import Levels
from ..engine.layouts import Columns, find_layout, read_classes
from ..structs import ImageExample
from .images import ImageData


class ImageFolder(ImageData):
    """Images in ``<data_dir>/train|val|test/<class>/`` or ``<data_dir>/<class>/``, or with labels in a table.

    Without ``val/`` a share of the training images is held out. Images are decoded once, into
    ``<data_dir>/.cache``: the two sizes used last, rebuilt when an image was added, removed or changed.

    Args:
        data_dir: The folder; or an ``.npz`` file of images and targets, or a table.
        image_size: Height and width in pixels of what the network sees.
        stored_size: Store photos whole, squeezed to squares of this side, such as 256; then ``PhotoAugment``
            crops out of the whole photo. ``None`` stores the centre, in ``image_size``.
        fit: With ``stored_size``, what validation, test and ``predict`` see: ``crop`` is the centre square,
            ``pad`` the whole photo with grey beside it.
        crop_share: Share of that square's side that is taken.
        val_dirs: Further validation sets by name, each a folder with a folder for each class.
        on_error: ``skip`` leaves out the images that cannot be read, counts them in a warning and lists
            them in ``<data_dir>/.cache/<set>-skipped.txt``; ``raise`` refuses them.
        labels: A CSV or Parquet file of files and labels, in ``data_dir``. Its columns are found by their
            usual names unless the next three name them.
        file_column: Names of files, from ``data_dir`` or anywhere below.
        label_columns: One column, or those of 0 and 1 whose names are the labels.
        split_column: ``train``, ``val`` or ``test`` of each row.
        separator: Between several labels in a cell. With several labels targets are ``(B, K)`` float.
        test_split: Share or number held out for test if the data is not divided; 0 for none.
        levels: What is black and white in images of 16 bits, 32 bits and floats; see ``read_image``.
        stratify: Give each class its share in what is held out.
        **kwargs: See ``ImageData``.

    Raises:
        InputError: The layout is not understood, classes differ between splits, or images cannot be read.
    """

    def __init__(
        self,
        data_dir: str = "data",
        image_size: int = 32,
        val_dirs: dict[str, str] | None = None,
        on_error: OnError = "raise",
        *,
        labels: str | None = None,
        file_column: str | None = None,
        label_columns: str | list[str] | None = None,
        split_column: str | None = None,
        separator: str | None = None,
        test_split: float = 0.1,
        levels: Levels | None = None,
        stratify: bool = True,
        stored_size: int | None = None,
        fit: Literal["crop", "pad"] = "crop",
        crop_share: float = 0.875,
        **kwargs: Any,
    ) -> None:
        columns = Columns(file=file_column, label=label_columns, split=split_column, separator=separator)
        self.layout = find_layout(Path(data_dir), labels, columns)
        super().__init__(data_dir, stratify=stratify and not self.layout.is_multilabel, **kwargs)
        root = Path(data_dir).parent if Path(data_dir).is_file() else Path(data_dir)
        self.class_names, self.image_shape = self.layout.class_names, (3, image_size, image_size)
        self.cache = root / ".cache"
        self.levels, self.test_split = levels, test_split
        square, side = (image_size, image_size), image_size
        if stored_size is not None:
            self.view, side = View(stored=stored_size, size=square, fit=fit, share=crop_share), stored_size
        self.decoding = Decoding(
            shape=(3, side, side), cache=self.cache, on_error=on_error, levels=levels, squeeze=bool(self.view)
        )
        self.val_dirs = {name: Path(path) for name, path in (val_dirs or {}).items()}
        for path in self.val_dirs.values():
            if not path.is_dir():
                raise InputError(f"expected {path}/<class>/*.jpg, got no folder {path}; correct val_dirs")
        self._listings: dict[str, Listing] = {}
        self._whole: ExampleSet[ImageExample] | None = None

    def prepare_data(self) -> None:
        for split in ("train", "val", "test"):
            self.sets_of(split)

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if stage == "fit":
            rows = {"train": self.train_set.rows}
            rows |= {name: self._sets[f"val/{name}"].rows for name in self.val_sets}
            warn_leaks(self._listings, rows, self.decoding.cache)

    def load(self, split: str) -> dict[str, ExampleSet[ImageExample]]:
        found = {}
        if WHOLE in self.layout.splits:
            found = self._part_of_whole(split)
        elif split in self.layout.splits:
            found = {split: self._read(self.layout.read(split))}
        if split == "val":
            for name, path in self.val_dirs.items():
                found[name] = self._read(read_classes(name, path, self.class_names))
        return found

    def _part_of_whole(self, split: str) -> dict[str, ExampleSet[ImageExample]]:
        whole = self._whole = self._whole or self._read(self.layout.read(WHOLE))
        parts = {"test": self.test_split} if self.test_split else {}
        rows = split_rows(len(whole), parts, self.seed, whole.targets if self.stratify else None)
        return {split: whole.subset(rows[split])} if split in rows else {}

    def _read(self, listing: Listing) -> ExampleSet[ImageExample]:
        images, rows, aspect = listing.decode(self.decoding)
        is_train = listing.name in ("train", WHOLE)
        check_targets(listing, rows, self.class_names, is_train=is_train)
        self._listings[listing.name] = listing
        if is_train:
            self.content = listing.fingerprint(self.decoding)
        return self.image_set(images, listing.targets, rows, aspect)
